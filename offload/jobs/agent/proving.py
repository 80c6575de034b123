"""Which layers a public index is known to give out; looked up once each.

Asked behind the jobs' backs, before anything is published: nobody waits for it. What the
answers were is kept in a file that may be lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from offload.snapshot import LocalStore
from offload.snapshot.images.evidence import contents_of, is_given_out

AGAIN_S = 7 * 86400.0
"""What no index gave out is looked up again after so long."""


class Proving:
    """Proves layers of a store.

    Args:
        urls: of the indexes that are public (simple repository API).
        store: with the layers.
        path: the file with what is known.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        urls: Sequence[str],
        store: LocalStore,
        path: Path,
        clock: Callable[[], float],
    ) -> None:
        self._urls = urls
        self._store = store
        self._path = path
        self._clock = clock
        self._known = self._load()

    def is_disproven(self, layer: str) -> bool:
        """Whether a layer (digest) is known to hold what no index gives out."""
        verdict, at = self._known.get(layer, (True, 0.0))
        return not verdict and self._clock() - at < AGAIN_S

    def proven(self, layers: Iterable[str]) -> frozenset[str]:
        """Return those layers of which an index gives out all that they hold.

        Raises:
            IndexAwayError: an index cannot be asked about one.
            MissingError: the store does not have one.
            DamagedError: one is no layer.
        """
        wanted = list(layers)
        unknown = [
            each
            for each in wanted
            if each not in self._known
            or not (self._known[each][0] or self.is_disproven(each))
        ]
        if unknown:
            # Only where something is published: its client takes long to import.
            from facility.environment.wheel_index import WheelIndex

            with WheelIndex(self._urls) as index:
                for each in unknown:
                    with self._store.in_use():
                        contents = contents_of(self._store.blob_path(each))
                    verdict = is_given_out(contents, index.records)
                    self._known[each] = verdict, self._clock()
                    self._save()
        return frozenset(each for each in wanted if self._known[each][0])

    def _load(self) -> dict[str, tuple[bool, float]]:
        try:
            found = json.loads(self._path.read_bytes())
            if found["indexes"] != list(self._urls):
                return {}  # others were asked, which may not be public
            layers = found["layers"]
            return {str(k): (bool(v[0]), float(v[1])) for k, v in layers.items()}
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return {}  # it is looked up again

    def _save(self) -> None:
        path = self._path
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        known = {"indexes": list(self._urls), "layers": self._known}
        draft.write_text(json.dumps(known))
        draft.replace(path)
