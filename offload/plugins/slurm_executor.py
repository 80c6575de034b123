"""Runs pods as Slurm jobs: arrays for many, one query for all."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from offload.interlink.extensions import SchedulerInfo
from offload.interlink.pod import Pod
from offload.plugins.config import PluginConfig
from offload.plugins.errors import SchedulerError
from offload.plugins.executor import Capacity, Job
from offload.plugins.flags import ANNOTATION, parse_flags, refuse_beyond
from offload.plugins.gres import gres_option, read_gres, slices_of
from offload.plugins.records import Submission
from offload.plugins.requests import Request, request_of
from offload.plugins.script import batch_script
from offload.plugins.slurm_client import SlurmClient
from offload.plugins.states import normalise

MARK = "analysis-facility"
"""Jobs bear the comment ``analysis-facility/INSTANCE/SUBMISSION``."""
_CAPACITY_AGE_S = 300.0
_RETRY_S = 10.0
_NO_ACCOUNTS = "accounting_storage/none"
_LONGEST_NAME = 60


class SlurmExecutor:
    """A Slurm cluster, reached by its own programs.

    Args:
        config: The site.
        instance: Name of this work area, by which its jobs are known.
        clock: Seconds since some moment.
    """

    has_own_allocations = True

    def __init__(
        self,
        config: PluginConfig,
        instance: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._instance = instance
        self._clock = clock
        self._client = SlurmClient(config.slurm.commands, config.slurm.timeout)
        self._capacity = Capacity()
        self._capacity_until = clock()
        self._failure: SchedulerError | None = None
        self._slices: dict[str, str] = slices_of(config.slices, ())
        self._has_accounts = False
        self.tick_s = config.slurm.tick

    async def start(self) -> None:
        await self.capacity()

    async def close(self) -> None:
        """Nothing is held."""

    async def capacity(self) -> Capacity:
        now = self._clock()
        if now >= self._capacity_until:
            try:
                await self._ask_capacity()
                self._capacity_until = now + _CAPACITY_AGE_S
                self._failure = None
            except SchedulerError as error:
                # Not every caller shall wait for a scheduler that does not answer.
                self._capacity_until = now + _RETRY_S
                self._failure = error
        if self._capacity.scheduler is None and self._failure is not None:
            raise self._failure
        return self._capacity

    async def _ask_capacity(self) -> None:
        settings = await self._client.configuration()
        nodes = {row[0]: row for row in await self._client.nodes()}.values()
        gres: Counter[str] = Counter()
        for row in nodes:
            gres.update(read_gres(row[3]))
        self._slices = slices_of(self._config.slices, gres)
        self._has_accounts = (
            settings.get("AccountingStorageType", _NO_ACCOUNTS) != _NO_ACCOUNTS
        )
        limits = self._config.limits
        reported = settings.get("MaxArraySize", "1")
        largest = int(reported) if reported.isdecimal() else 1
        self._capacity = Capacity(
            cpus=sum(_leading_number(row[1]) for row in nodes),
            memory_bytes=sum(_leading_number(row[2]) for row in nodes) * 2**20,
            devices={name: _available(g, gres) for name, g in self._slices.items()},
            scheduler=SchedulerInfo(
                name="slurm", version=settings.get("SLURM_VERSION", "")
            ),
            max_array_size=min(limits.max_array_size or largest, largest),
            max_submit_jobs=limits.max_submit_jobs,
        )

    def options(self, pod: Pod) -> tuple[str, ...]:
        request = request_of(pod, self._config.limits)
        flags = parse_flags(pod.annotation(ANNOTATION) or "")
        refuse_beyond(flags, self._config.limits)
        # Of two that say different things sbatch takes the later: the site's.
        return (*self._request_options(request), *flags, *self._config.slurm.flags)

    def script(self) -> str:
        return batch_script(self._config.python or Path(sys.executable))

    async def queue(self) -> list[Job]:
        rows = await self._client.queue()
        return [job for row in rows if (job := self._job(row)) is not None]

    async def history(self, ids: Collection[str]) -> dict[str, Job]:
        if not self._has_accounts:
            return {}
        rows = await self._client.history(ids)
        return {
            id_: Job(id_, "", "", 0, normalise(state)) for id_, state in rows if state
        }

    async def submit(self, submission: Submission, folder: Path) -> tuple[str, ...]:
        count = len(submission.uids)
        options = [
            *submission.options,
            f"--job-name={_printable(submission.name)}",
            f"--comment={MARK}/{self._instance}/{submission.id}",
            f"--chdir={folder}",
            f"--output={folder}/%a.out" if count > 1 else f"--output={folder}/0.out",
            "--open-mode=append",
        ]
        if count > 1:
            options.append(f"--array=0-{count - 1}")
        job = await self._client.submit(options, folder)
        if count == 1:
            return (job,)
        return tuple(f"{job}_{task}" for task in range(count))

    async def cancel(self, ids: Sequence[str]) -> None:
        await self._client.cancel(ids)

    def _request_options(self, request: Request) -> tuple[str, ...]:
        config = self._config.slurm
        options = [f"--nodes={request.nodes}", f"--ntasks={request.tasks}"]
        if request.cpus:
            options.append(f"--cpus-per-task={request.cpus_per_task}")
        if request.memory_bytes:
            options.append(f"--mem={-(-request.memory_per_node_bytes // 2**20)}M")
        if request.deadline_s is not None:
            minutes = -(-(request.deadline_s + config.time_margin) // 60)
            options.append(f"--time={minutes:.0f}")
        if config.partition is not None:
            options.append(f"--partition={config.partition}")
        options.append("--requeue" if config.requeue else "--no-requeue")
        options += gres_option(request, self._slices)
        return tuple(options)

    def _job(self, row: list[str]) -> Job | None:
        job, array, task, state, why, nodes, comment, folder = row
        submission = self._submission_of(comment, folder)
        if submission is None:
            return None
        is_element = task.isdecimal()
        return Job(
            id=f"{array}_{task}" if is_element else job,
            allocation=f"slurm:{job}",
            submission=submission,
            task=int(task) if is_element else 0,
            state=normalise(state),
            why=why,
            nodes=nodes,
        )

    def _submission_of(self, comment: str, folder: str) -> str | None:
        mark = f"{MARK}/{self._instance}/"
        if comment.startswith(mark):
            return comment.removeprefix(mark)
        # Some sites write their own comments; the folder is ours alone.
        parent, _, name = folder.rpartition("/")
        is_ours = parent == str(self._config.work / "submissions")
        return name if is_ours else None


def _available(gres: str, counts: Counter[str]) -> int:
    if ":" in gres:
        return counts[gres]
    return sum(n for g, n in counts.items() if g.partition(":")[0] == gres)


def _leading_number(text: str) -> int:
    digits = text.rstrip("+")
    return int(digits) if digits.isdecimal() else 0


def _printable(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isprintable() else "_" for c in name)
    return kept[:_LONGEST_NAME] or MARK
