"""A site with a scheduler in memory and a clock of our own."""

import json

from offload.cache import SiteCache
from offload.interlink import Pod, RetrievedPodData
from offload.plugins.config import RetentionConfig
from offload.plugins.errors import SchedulerError, SchedulerLimitError
from offload.plugins.executor import Capacity, Job
from offload.plugins.reconcile import Reconciler
from offload.plugins.records import Record, WorkArea
from offload.plugins.retention import Retention
from offload.plugins.table import Table


class Scheduler:
    """Takes jobs, within a limit; keeps count of what it is asked."""

    tick_s = 5.0
    has_own_allocations = True

    def __init__(self):
        self.jobs: dict[str, Job] = {}
        self.limit = 10**6
        self.array = 1000
        self.failures: list[SchedulerError] = []
        self.submitted: list[int] = []
        self.queries = 0
        self.cancelled: list[str] = []

    async def capacity(self):
        return Capacity(max_array_size=self.array)

    def script(self):
        return "#!/bin/sh\n"

    async def queue(self):
        self.queries += 1
        return list(self.jobs.values())

    async def history(self, ids):
        return {}

    async def cancel(self, ids):
        self.cancelled += ids

    async def submit(self, submission, folder):
        # What it announces is on disk before it is done.
        assert (folder / "submission.json").exists()
        for uid in submission.uids:
            record = json.loads(
                (folder.parents[1] / f"pods/{uid}/record.json").read_text()
            )
            assert (record["stage"], record["submission"]) == (
                "submitting",
                submission.id,
            )
        if self.failures:
            raise self.failures.pop(0)
        count = len(submission.uids)
        if len(self.jobs) + count > self.limit:
            raise SchedulerLimitError("AssocMaxSubmitJobLimit")
        self.submitted.append(count)
        number = len(self.submitted)
        names = [f"{number}_{t}" for t in range(count)] if count > 1 else [f"{number}"]
        for task, name in enumerate(names):
            self.jobs[name] = Job(
                name, f"slurm:{name}", submission.id, task, "PENDING", "Priority"
            )
        return tuple(names)

    def set(self, state, *names, nodes="n1"):
        for name in names or list(self.jobs):
            job = self.jobs[name]
            self.jobs[name] = Job(
                name, job.allocation, job.submission, job.task, state, "", nodes
            )


class World:
    def __init__(self, path):
        self.now = 1000.0
        self.work = WorkArea(path / "work")
        self.cache = SiteCache(path / "work")
        self.scheduler = Scheduler()
        self.start()

    def start(self):
        """As a plugin does, after a kill -9 of the one before."""
        self.table = Table(self.work, clock=self.clock)
        self.table.load()
        self.retention = Retention(
            self.table,
            self.cache,
            RetentionConfig(logs=100, outputs=50),
            clock=self.clock,
        )
        self.loop = Reconciler(
            self.table, self.scheduler, self.retention, clock=self.clock
        )

    def clock(self):
        return self.now

    async def accept(self, count=1, **fields):
        pods = []
        for index in range(count):
            uid = f"u-{len(list(self.table)) + index}"
            record = Record(uid=uid, accepted_at=self.now, index=index, **fields)
            pod = Pod.model_validate(
                {"metadata": {"uid": uid}, "spec": {"containers": [{"name": "main"}]}}
            )
            pods.append((record, RetrievedPodData(pod=pod)))
        await self.table.accept(pods)

    async def step(self, seconds=0.0, times=1):
        for _ in range(times):
            self.now += seconds
            await self.loop.step()

    def stages(self):
        return [entry.record.stage for entry in self.table]

    def reason(self, uid="u-0"):
        state = self.table.get(uid).status.containers[0].state
        return (state.waiting or state.terminated).reason
