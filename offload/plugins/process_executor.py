"""Runs pods as processes of this machine, as many as fit; the others wait.

A job here is a batch script, kept alive until the wrapper has left its last word. What
runs is known by a mark in the environment, so a plugin that was killed finds it again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from facility.process import ProcessIdentity, boot_id
from facility.spec.diagnostics import nearest
from offload.interlink.extensions import SchedulerInfo
from offload.interlink.pod import Pod
from offload.plugins.config import PluginConfig
from offload.plugins.errors import ImpossibleRequestError, SchedulerTryLaterError
from offload.plugins.executor import Capacity, Job
from offload.plugins.node.claim import read_claim
from offload.plugins.processes import end, marked, spawn
from offload.plugins.records import Submission, WorkArea
from offload.plugins.requests import Request, full_resource_name, request_of
from offload.plugins.script import batch_script

_KILL_AFTER_S = 60.0
"""How long a cancelled job may take beyond its pod's own grace period."""
_DEFAULT_GRACE_S = 30


@dataclass(slots=True)
class _Running:
    submission: str
    uid: str
    request: Request
    devices: dict[str, tuple[str, ...]]
    process: ProcessIdentity | None
    grace_s: float
    cancelled_at: float | None = None


class ProcessExecutor:
    """This machine.

    Args:
        config: The site.
        instance: Name of this work area, by which its processes are known.
        work: Where pods are.
        clock: Seconds since some moment.
    """

    tick_s = 1.0
    has_own_allocations = False

    def __init__(
        self,
        config: PluginConfig,
        instance: str,
        work: WorkArea,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._instance = instance
        self._work = work
        self._clock = clock
        self._jobs: dict[str, _Running] = {}
        self._waiting: dict[str, Submission] = {}
        self._ended: dict[str, str] = {}
        limits = config.process
        self._devices = {
            full_resource_name(name): devices
            for name, devices in limits.devices.items()
        }
        self._cpus = limits.cpus or len(os.sched_getaffinity(0))
        self._memory_bytes = limits.memory or psutil.virtual_memory().total

    async def start(self) -> None:
        """Find what a plugin before this one has started."""
        found = marked(self._instance)
        for id_ in self._work.submissions():
            submission = self._work.read_submission(id_)
            if submission is None or self._is_over(submission):
                continue
            processes = found.get(id_)
            if processes or read_claim(self._work.pod(submission.uids[0])) is not None:
                self._adopt(submission, processes[0] if processes else None)
            else:
                self._waiting[id_] = submission

    async def close(self) -> None:
        """Nothing is held: jobs go on."""

    async def capacity(self) -> Capacity:
        return Capacity(
            cpus=int(self._cpus),
            memory_bytes=self._memory_bytes,
            devices={name: len(devices) for name, devices in self._devices.items()},
            scheduler=SchedulerInfo(name="process"),
        )

    def options(self, pod: Pod) -> tuple[str, ...]:
        request = request_of(pod, self._config.limits)
        wanted: list[tuple[str, float, float]] = [
            ("CPUs", float(request.cpus), self._cpus),
            ("bytes of memory", request.memory_bytes, self._memory_bytes),
            ("nodes", request.nodes, 1),
        ]
        for what, count, most in wanted:
            if count > most:
                raise ImpossibleRequestError(
                    f"this site has {most:g} {what}, {count:g} were asked for"
                )
        for name, number in request.devices.items():
            have = len(self._devices.get(name, ()))
            if number > have:
                hint = "" if have else nearest(name, list(self._devices))
                raise ImpossibleRequestError(
                    f"this site has {have} of {name}, {number} were asked for{hint}"
                )
        return ()

    def script(self) -> str:
        return batch_script(self._config.python or Path(sys.executable))

    async def queue(self) -> list[Job]:
        """Start what fits, restart what was killed, and return what there is."""
        for id_ in list(self._jobs):
            await self._tend(id_)
        for submission in list(self._waiting.values()):
            if not await self._start(submission):
                break  # first come, first served
        self._ended = {
            id_: state
            for id_, state in self._ended.items()
            if self._work.submission(id_).exists()
        }
        return [
            *(self._describe(id_, "RUNNING") for id_ in self._jobs),
            *(self._describe(id_, "PENDING", "Resources") for id_ in self._waiting),
            *(self._describe(id_, state) for id_, state in self._ended.items()),
        ]

    async def history(self, _ids: Collection[str], /) -> dict[str, Job]:
        """Return nothing: what has ended has left its result, or none exists."""
        return {}

    async def submit(self, submission: Submission, _folder: Path, /) -> tuple[str, ...]:
        if submission.id not in self._jobs:
            self._ended.pop(submission.id, None)
            self._waiting[submission.id] = submission
            ahead = next(iter(self._waiting))
            if ahead == submission.id:
                await self._start(submission)
        return (submission.id,)

    async def cancel(self, ids: Sequence[str]) -> None:
        found = marked(self._instance)
        for id_ in ids:
            if self._waiting.pop(id_, None) is not None:
                self._ended[id_] = "CANCELLED"
            job = self._jobs.get(id_)
            if job is None:
                continue
            now = self._clock()
            if job.cancelled_at is None:
                job.cancelled_at = now
            is_late = now - job.cancelled_at > job.grace_s + _KILL_AFTER_S
            number = signal.SIGKILL if is_late else signal.SIGTERM
            end(found.get(id_, []), number)

    # one job

    def _adopt(self, submission: Submission, process: ProcessIdentity | None) -> None:
        uid = submission.uids[0]
        pod = self._work.read_pod(uid)
        request = request_of(pod, self._config.limits)
        # Which devices it was given is not recorded: the first ones that are free, as
        # it was done when it began.
        devices = self._free_devices(request) or {}
        grace_s = pod.spec.termination_grace_period_seconds
        self._jobs[submission.id] = _Running(
            submission.id,
            uid,
            request,
            devices,
            process,
            _DEFAULT_GRACE_S if grace_s is None else grace_s,
        )

    async def _start(self, submission: Submission) -> bool:
        """Start a job if it fits now; return whether it has left the queue."""
        uid = submission.uids[0]
        pod = self._work.read_pod(uid)
        request = request_of(pod, self._config.limits)
        devices = self._free_devices(request)
        used = [job.request for job in self._jobs.values()]
        cpus = request.cpus + sum(other.cpus for other in used)
        memory = request.memory_bytes + sum(other.memory_bytes for other in used)
        # Who asks for nothing is taken for one CPU: else all would run at once.
        count = 1 + len(used)
        is_full = cpus > self._cpus or memory > self._memory_bytes
        if devices is None or is_full or (not request.cpus and count > self._cpus):
            return False
        self._adopt(submission, None)
        del self._waiting[submission.id]
        await self._spawn(self._jobs[submission.id])
        return True

    async def _spawn(self, job: _Running) -> None:
        names = [device for devices in job.devices.values() for device in devices]
        folder = self._work.submission(job.submission)
        mark = f"{self._instance}/{job.submission}"
        variables = {"CUDA_VISIBLE_DEVICES": ",".join(names)} if names else {}
        try:
            job.process = await spawn(folder, mark, variables)
        except OSError as error:
            raise SchedulerTryLaterError(f"{folder}: {error.strerror}") from error

    async def _tend(self, id_: str) -> None:
        job = self._jobs[id_]
        if job.process is not None and job.process.is_alive():
            return
        folder = self._work.pod(job.uid)
        claim = read_claim(folder)
        is_ours = claim is None or claim.allocation == f"boot:{boot_id()}"
        has_ended = folder.done.exists() or not folder.path.exists()
        if has_ended or not is_ours or job.cancelled_at is not None:
            was_cancelled = job.cancelled_at is not None
            state = "COMPLETED" if has_ended else "NODE_FAIL"
            self._ended[id_] = "CANCELLED" if was_cancelled else state
            del self._jobs[id_]
            return
        survivors = marked(self._instance).get(id_)
        if survivors:
            job.process = survivors[0]
        else:
            await self._spawn(job)

    def _free_devices(self, request: Request) -> dict[str, tuple[str, ...]] | None:
        taken: Counter[str] = Counter(
            device
            for job in self._jobs.values()
            for devices in job.devices.values()
            for device in devices
        )
        found = {}
        for name, count in request.devices.items():
            free = [d for d in self._devices.get(name, ()) if not taken[d]]
            if len(free) < count:
                return None
            found[name] = tuple(free[:count])
        return found

    def _is_over(self, submission: Submission) -> bool:
        folder = self._work.pod(submission.uids[0])
        return folder.done.exists() or not folder.pod.exists()

    def _describe(self, id_: str, state: str, why: str = "") -> Job:
        allocation = f"boot:{boot_id()}"
        return Job(id_, allocation, submission=id_, task=0, state=state, why=why)
