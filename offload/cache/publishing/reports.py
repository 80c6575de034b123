"""What sites report of what their jobs read: put together, and made bundles of.

A site may report as often as it likes: a bundle is published anew only if much is new.
Only objects of the image count, so nobody can make it grow beyond that.
"""

from __future__ import annotations

import threading
from pathlib import Path

from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.errors import MissingImageError
from offload.cache.publishing.references import flat_path
from offload.cache.publishing.shelf import Shelf
from offload.cache.reading.traces import Trace


class Reports:
    """Traces that sites have sent, by image.

    Args:
        shelf: the repository.
        folder: where they are kept; made if need be.
    """

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self._shelf = shelf
        self._folder = folder
        self._lock = threading.Lock()

    def take(self, image: str, trace: Trace) -> int:
        """Add a trace to those of an image; return the objects of a new bundle, or 0.

        Killed in between, the next report does the rest.

        Raises:
            MissingImageError: the image is not published.
            RefusedRequestError: the trace has no object of it.
        """
        with self._lock:
            self._drop_collected()
            if not self._shelf.has_image(image):
                raise MissingImageError(f"{image} is not published")
            own = self._shelf.pieces(flat_path(image))
            path = self._folder / image.removeprefix("sha256:")
            known, new = Trace.load(path), trace.only(own)
            if len(known) and not new.is_much_more_than(known):
                return 0
            known.merge([new])
            count = publish_bundle(self._shelf, image, known)
            known.save(path)
            return count

    def _drop_collected(self) -> None:
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                name = f"sha256:{path.name}"
                if path.name.startswith(".") or not self._shelf.has_image(name):
                    path.unlink(missing_ok=True)
