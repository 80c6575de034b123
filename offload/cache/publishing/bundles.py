"""Puts together what a cold start of an image needs, from what jobs have opened.

A trace says which objects were read, in order (:mod:`offload.cache.reading.traces`). Only
objects of the image's own published tree get into its bundle, read from the repository,
and only as files of that tree: who sends a trace can leave things out, and no more.
"""

from __future__ import annotations

from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.names import ObjectName
from offload.cache.publishing.errors import MissingImageError, RefusedRequestError
from offload.cache.publishing.references import flat_path
from offload.cache.publishing.shelf import Shelf
from offload.cache.reading.bundles import Use, pack, path_of
from offload.cache.reading.traces import Trace
from offload.snapshot.tree import Kind

LARGEST_TRACE = 16 << 20
"""Bytes."""
LARGEST_BUNDLE = 256 << 20
"""Bytes of objects; the rest is fetched one by one."""
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
    public = shelf.repository.public
    wanted: list[Use] = []
    size = 0
    own = shelf.uses(flat_path(image))
    for use in trace.uses:
        if known := own.get(use.name):
            size += (public / use.name.path).stat().st_size
            if size > LARGEST_BUNDLE:
                break
            wanted.append(use if use in known else known[0])
    if not wanted:
        raise RefusedRequestError(f"the trace has no object of {image}")

    def read(name: ObjectName) -> bytes:
        return (public / name.path).read_bytes()

    content = b"".join(pack(wanted, read))
    with shelf.repository.transaction(wait_s=_WAIT_S) as change:
        if change.lookup(flat_path(image)) is None:  # collected meanwhile
            raise MissingImageError(f"{image} is not published any more")
        item = Item(b"", Kind.FILE, 0o644, len(content), content=content)
        change.put(path_of(image), item)
        change.commit()
    return len(wanted)
