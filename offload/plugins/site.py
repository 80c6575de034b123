"""A site: what a plugin's requests act upon, without HTTP."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from facility.text import counted
from offload.cache import CacheError, NoSpaceError, SiteCache
from offload.interlink.messages import CreateStruct, PodStatus, RetrievedPodData
from offload.interlink.pod import Pod
from offload.plugins.config import PluginConfig
from offload.plugins.errors import ImpossibleRequestError
from offload.plugins.executor import Executor
from offload.plugins.node.snapshots import digest_of
from offload.plugins.problems import ProblemError
from offload.plugins.reconcile import Reconciler
from offload.plugins.records import Record, Stage
from offload.plugins.requests import GROUP, GROUP_SIZE, INDEX
from offload.plugins.table import Entry, Table

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LEAST_FREE_BYTES = 64 * 2**20
"""No pod is taken in with less room than this in the work area."""


@dataclass(frozen=True, slots=True)
class Site:
    """Everything of one site."""

    config: PluginConfig
    table: Table
    executor: Executor
    reconciler: Reconciler
    cache: SiteCache
    free_bytes: Callable[[], int]
    clock: Callable[[], float] = time.time
    _accepting: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while pods are taken in: who heard no answer may ask again before we are done
    with his first question, or that they be deleted."""

    async def create(
        self, pods: Sequence[RetrievedPodData]
    ) -> tuple[CreateStruct, ...]:
        """Accept pods, all or none; those that are known already stay as they are.

        Raises:
            ProblemError: one of them cannot be run here, now or ever.
        """
        async with self._accepting:
            new = [data for data in pods if data.pod.uid not in self.table]
            accepted = [(self._record(data), data) for data in new]
            if new:
                await self._check_room()
                await self._check_snapshots([data.pod for data in new])
                try:
                    await self.table.accept(accepted)
                except OSError as error:
                    raise self._no_room(error) from None
                self.reconciler.wake()
        for data in pods:
            self._refuse_other(data)
        return tuple(self._created(data.pod.uid) for data in pods)

    async def delete(self, uid: str) -> Entry | None:
        """Want a pod to end. Durable: it is seen to until it has."""
        if uid not in self.table:
            async with self._accepting:
                pass  # it may be coming
        entry = self.table.get(uid)
        if entry is None:
            return None
        if entry.record.stage is not Stage.ENDED:
            self.table.work.pod(uid).cancelled.touch()
        self.table.save(entry, entry.record.changed(is_unwanted=True))
        await self.table.announce()
        self.reconciler.wake(soon=True)
        return entry

    def status(self, pods: Sequence[Pod]) -> tuple[PodStatus, ...]:
        """Return what pods do; those that are not known, or gone, are left out."""
        found = (self.table.get(pod.uid) for pod in pods)
        return tuple(
            entry.status
            for entry in found
            if entry is not None and entry.status is not None and not entry.is_gone
        )

    def _record(self, data: RetrievedPodData) -> Record:
        pod = data.pod
        _check_names(pod)
        try:
            options = self.executor.options(pod)
        except ImpossibleRequestError as error:
            raise ProblemError(422, "impossible-request", str(error)) from None
        return Record(
            uid=pod.uid,
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            group=pod.annotation(GROUP) or "",
            group_size=_number(pod, GROUP_SIZE, 1),
            index=_number(pod, INDEX, 0),
            options=options,
            accepted_at=self.clock(),
        )

    async def _check_room(self) -> None:
        free = await asyncio.to_thread(self.free_bytes)
        if free < LEAST_FREE_BYTES:
            raise ProblemError(
                507,
                "no-space",
                f"{self.config.work}: expected {LEAST_FREE_BYTES:,} bytes free, got"
                f" {free:,}; the site's administrator can make room",
            )

    def _no_room(self, error: OSError) -> ProblemError:
        why = error.strerror or str(error)
        return ProblemError(
            507, "no-space", f"{self.config.work}: the pod cannot be recorded: {why}"
        )

    async def _check_snapshots(self, pods: Sequence[Pod]) -> None:
        def check() -> set[str]:
            missing: set[str] = set()
            for pod in pods:
                images = _snapshots(pod)
                if images:
                    # First: from then on nothing is taken away.
                    self.cache.pin(pod.uid, images)
                for image in images:
                    missing.update(self.cache.missing_of(image))
            return missing

        try:
            missing = await asyncio.to_thread(check)
        except NoSpaceError as error:
            raise ProblemError(507, "no-space", str(error)) from None
        except CacheError as error:
            raise ProblemError(422, "impossible-request", str(error)) from None
        if missing:
            raise ProblemError(
                424,
                "missing-blobs",
                f"not at this site: {counted(len(missing), 'blob')} of the pod's "
                "snapshot; send first",
                missing=sorted(missing),
            )

    def _refuse_other(self, data: RetrievedPodData) -> None:
        entry = self.table.get(data.pod.uid)
        known = entry.record.name if entry is not None else data.pod.metadata.name
        if known != data.pod.metadata.name:
            raise ProblemError(
                409,
                "other-pod",
                f"UID {data.pod.uid}: expected pod {known!r} again, got"
                f" {data.pod.metadata.name!r}; a new pod needs a UID of its own",
            )

    def _created(self, uid: str) -> CreateStruct:
        entry = self.table.get(uid)
        return CreateStruct(pod_uid=uid, pod_jid=entry.record.job if entry else "")


def _check_names(pod: Pod) -> None:
    """UID and names of containers become names of files."""
    if not _UID.fullmatch(pod.uid):
        raise ProblemError(
            422,
            "impossible-request",
            f"metadata.uid: expected letters, digits and dashes, got {pod.uid[:80]!r}",
        )
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    names = [container.name for container in containers]
    if not pod.spec.containers:
        raise ProblemError(
            422,
            "impossible-request",
            "spec.containers: expected at least one, got none",
        )
    for name in names:
        if not _LABEL.fullmatch(name) or names.count(name) > 1 or name == "done":
            raise ProblemError(
                422,
                "impossible-request",
                "spec.containers: expected unique names of lower-case letters, digits"
                f" and dashes (not 'done'), got {name[:80]!r}",
            )


def _snapshots(pod: Pod) -> list[str]:
    found = (
        digest_of(volume.image.reference)
        for volume in pod.spec.volumes
        if volume.image is not None
    )
    return sorted({digest for digest in found if digest is not None})


def _number(pod: Pod, annotation: str, default: int) -> int:
    text = pod.annotation(annotation)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ProblemError(
            422,
            "impossible-request",
            f"annotation {annotation}: expected a number, got {text[:40]!r}",
        )
    return int(text)
