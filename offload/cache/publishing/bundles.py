"""Puts together what a cold start of an image needs, from what jobs have opened.

A trace says which objects were read, in order (:mod:`offload.cache.reading.traces`). Only
objects of the image's own published tree get into its bundle, read from the repository,
and only as files of that tree: who sends a trace can leave things out, and no more.
"""

from __future__ import annotations

from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.objects import content_of
from offload.cache.publishing.errors import MissingImageError, RefusedRequestError
from offload.cache.publishing.references import flat_path
from offload.cache.publishing.shelf import Shelf
from offload.cache.reading.bundles import Piece, items, path_of
from offload.cache.reading.traces import Trace

LARGEST_TRACE = 16 << 20
"""Bytes."""
LARGEST_BUNDLE = 256 << 20
"""Bytes of content; the rest is fetched one by one."""
_WAIT_S = 60.0


def publish_bundle(shelf: Shelf, image: str, trace: Trace) -> int:
    """Publish the bundle of an image, in place of what it had; return its objects.

    The same again makes no new revision.

    Args:
        shelf: the repository.
        image: digest of its manifest.
        trace: what was read, the first first.

    Raises:
        MissingImageError: the image is not published.
        RefusedRequestError: the trace has no object of it.
    """
    if not shelf.has_image(image):
        raise MissingImageError(f"{image} is not published")
    wanted: list[Piece] = []
    size = 0
    own = shelf.pieces(flat_path(image))
    for use in trace.uses:
        if piece := own.get(use.name):
            size += piece.size
            if size > LARGEST_BUNDLE:
                break
            wanted.append(piece)
    if not wanted:
        raise RefusedRequestError(f"the trace has no object of {image}")

    def read(name: ObjectName) -> bytes:
        return content_of(name, (shelf.repository.public / name.path).read_bytes())

    with shelf.repository.preparation(wait_s=_WAIT_S) as preparation:
        preparation.put_tree(path_of(image), items(wanted, read))
        prepared = preparation.finish()
    with shelf.repository.transaction(wait_s=_WAIT_S) as change:
        if change.lookup(flat_path(image)) is None:  # collected meanwhile
            raise MissingImageError(f"{image} is not published any more")
        change.put_prepared(prepared)
        change.commit()
    return len(wanted)
