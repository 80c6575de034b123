"""Published environments that are not here whole when a job starts.

Where it can be, the image is mounted in the pod's folder on this node, and the job sees
it at a fixed place. The mount ends with this process; who uses it then, a container that
outlives a killed wrapper, keeps it until he ends.
"""
# What is imported late takes long, and is for the first jobs of an environment only.

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offload.plugins.node import nodes
from offload.plugins.node.folder import NodeError, PodError
from offload.plugins.node.scratch import MOUNTED, TREES

if TYPE_CHECKING:
    from offload.cache import SiteCache
    from offload.cache.reading.cache import RepositoryCache
    from offload.cache.reading.mounting import Mount
    from offload.cache.reading.settings import RepositorySettings

_PATIENCE_S = 600.0
"""For so long others may take to bring what this node cannot reach."""
_AGAIN_S = 0.5

TOP = "/run/environments"
"""Where jobs see what is mounted."""


class UnwantedError(NodeError):
    """The pod is to end before its environment is here."""


class Published:
    """What a pod has from the repository by itself.

    Args:
        uid: of the pod.
        node: name of this machine.
        work: the site's work area.
        reading: how the repository is read.
        scratch: the pod's folder on this node.
        runtime: that its containers run under.
        is_lazy: whether all of them run on this node.
        is_wanted: asked while others bring the environment: whether to wait on.
    """

    def __init__(
        self,
        uid: str,
        node: str,
        work: Path,
        reading: Mapping[str, Any],
        scratch: Path,
        *,
        runtime: str,
        is_lazy: bool,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._is_wanted = is_wanted
        self._uid = uid
        self._node = node
        self._work = work
        self._reading = reading
        self._scratch = scratch
        self._obstacle = (
            ""
            if runtime == "bubblewrap"
            else f"a mount can be shown to jobs by bubblewrap, not by runtime {runtime}"
        )
        self._is_lazy = is_lazy
        self._repository: RepositoryCache | None = None
        self._mounts: list[Mount] = []
        self._images: list[str] = []
        self.shown: dict[str, Path] = {}
        """What jobs are to see where."""
        self.problem = ""
        """Why jobs could not read some of it, once it is closed; empty if they could."""

    def trees(self, site: SiteCache, snapshot: str) -> dict[str, Path] | None:
        """Return a snapshot's trees by role, of links; None once all of it is here.

        Raises:
            PodError: it cannot be had; the error names node and reason.
            UnwantedError: the pod is to end.
        """
        from offload.cache import CacheError, MissingBlobsError
        from offload.cache.lazily import fetch_whole
        from offload.cache.reading.cache import RepositoryCache
        from offload.cache.reading.settings import RepositorySettings

        settings = RepositorySettings.model_validate(self._reading)
        try:
            if self._repository is None:  # open as long as mounts, which it is to feed
                folder = self._work / "repository"
                self._repository = RepositoryCache(folder, settings)
            trees = self._links(site, self._repository, snapshot)
            if trees is None:
                self._wait_for_a_way(site, settings, snapshot)
                fetch_whole(site, self._repository, snapshot)
        except CacheError as error:
            if not isinstance(error, MissingBlobsError):
                self._note(str(error), may_pass=True)
            raise PodError(
                f"snapshot {snapshot[:19]}, node {self._node}: {error}"
            ) from None
        return trees

    def _links(
        self, site: SiteCache, repository: RepositoryCache, snapshot: str
    ) -> dict[str, Path] | None:
        if not self._is_lazy or self._look():
            return None
        from offload.cache.lazily import trees_of_links
        from offload.cache.reading.errors import MountError
        from offload.cache.reading.mounting import Mount

        def show(image: str) -> Path:
            # What a killed wrapper has mounted may be in use: each has its own place.
            where = self._scratch / MOUNTED / secrets.token_hex(8)
            where.mkdir(parents=True)
            self._images.append(image)
            repository.pin(self._uid, *self._images)
            self._mounts.append(Mount(repository, image, where))
            place = Path(TOP, image.removeprefix("sha256:"))
            self.shown[str(place)] = where
            return place

        folder = self._scratch / TREES
        folder.mkdir(exist_ok=True)
        try:
            return trees_of_links(site, repository, snapshot, show, folder)
        except MountError as error:
            self._note(str(error), may_pass=True)
            return None

    def _wait_for_a_way(
        self, site: SiteCache, settings: RepositorySettings, snapshot: str
    ) -> None:
        """Return once the repository answers here, or others have brought a snapshot.

        Raises:
            UnreachableError: neither is so in time.
            UnwantedError: the pod is to end.
        """
        from offload.cache.lazily import lacking
        from offload.cache.reading.errors import UnreachableError
        from offload.plugins.node.reaching import why_unreachable

        until = time.monotonic() + _PATIENCE_S
        while lacking(site, snapshot) and (problem := why_unreachable(settings)):
            if time.monotonic() > until:
                raise UnreachableError(f"{problem}; nor did anybody bring it in time")
            if not self._is_wanted():
                raise UnwantedError(f"its environment was not here yet: {problem}")
            time.sleep(_AGAIN_S)

    def _note(self, problem: str, *, may_pass: bool) -> None:
        with suppress(OSError):  # a full disk: it is for later jobs only
            nodes.note(self._work, self._node, time.time(), problem, may_pass=may_pass)

    def _look(self) -> str:
        """Return why jobs cannot read lazily here; empty if they can."""
        known = nodes.noted(self._work, self._node, time.time())
        problem = self._obstacle or known
        may_pass = False
        if problem is None and not (problem := nodes.why_no_mounts()):
            problem = nodes.why_unread(self._work, self._reading)
            may_pass = True
        if problem != known:
            self._note(problem, may_pass=may_pass and bool(problem))
        return problem

    def look_at_node(self) -> threading.Thread:
        """Begin to find out whether jobs can read lazily here; nobody need wait."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Take away what is mounted."""
        for mount in self._mounts:
            if problem := mount.close():
                self.problem = f"its environment, node {self._node}: {problem}"
        if self._repository is not None:
            self._repository.close()
