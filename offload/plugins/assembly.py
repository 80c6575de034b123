"""Puts the parts of a site together, and sets them going."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from offload.cache import CacheError, SiteCache
from offload.plugins.config import ExecutorKind, PluginConfig
from offload.plugins.errors import SchedulerError
from offload.plugins.executor import Executor
from offload.plugins.node.nodes import can_read_lazily
from offload.plugins.node.settings import NodeSettings
from offload.plugins.process_executor import ProcessExecutor
from offload.plugins.reconcile import Reconciler
from offload.plugins.records import WorkArea
from offload.plugins.retention import Retention
from offload.plugins.site import Site
from offload.plugins.site_info import free_bytes
from offload.plugins.slurm_executor import SlurmExecutor
from offload.plugins.table import Table


def assemble(config: PluginConfig, instance: str) -> Site:
    """Return a site that does nothing yet.

    Args:
        config: What its administrator said.
        instance: Name of its work area.
    """
    work = WorkArea(config.work)
    executor: Executor
    match config.executor:
        case ExecutorKind.SLURM:
            executor = SlurmExecutor(config, instance)
        case ExecutorKind.PROCESS:
            executor = ProcessExecutor(config, instance, work)
    table = Table(work)
    cache = _cache(config)
    retention = Retention(table, cache, config.retention, partial(_report, config))
    return Site(
        config=config,
        table=table,
        executor=executor,
        reconciler=Reconciler(table, executor, retention),
        cache=cache,
        free_bytes=partial(free_bytes, config.work),
    )


def _cache(config: PluginConfig) -> SiteCache:
    mount = None if config.repository is None else config.repository.mount
    reading = None if config.repository is None else config.repository.reading()
    if reading is None:
        return SiteCache(config.work, is_eager=True, mount=mount)
    # Only where there is a repository to read: its client takes long to import.
    from offload.cache.lazily import lazily_is_sooner
    from offload.cache.reading.cache import RepositoryCache

    repository = RepositoryCache(config.work / "repository", reading)
    is_lazy = config.repository is not None and config.repository.is_lazy

    def can_mount() -> bool:
        return can_read_lazily(config.work, time.time())

    def is_sooner(image: str, layers: Collection[str]) -> bool:
        return can_mount() and lazily_is_sooner(repository, image, layers)

    return SiteCache(
        config.work,
        is_eager=True,
        mount=mount,
        repository=repository,
        is_sooner=is_sooner if is_lazy else None,
        can_mount=can_mount,
    )


def _report(config: PluginConfig) -> None:
    """Tell the publisher what jobs have read, if it is to know."""
    reading = None if config.repository is None else config.repository.reading()
    if reading is None or reading.report is None:
        return
    from offload.cache.reading.reporting import report_traces

    with contextlib.suppress(CacheError):  # the next time, then
        report_traces(config.work / "repository" / reading.fqrn, reading.report)


def _node_settings(config: PluginConfig) -> NodeSettings:
    mount = None if config.repository is None else config.repository.mount
    is_lazy = config.repository is not None and config.repository.is_lazy
    reading = config.repository.reading() if config.repository and is_lazy else None
    shown = () if mount is None else (str(mount),)
    return NodeSettings(
        runtime=config.runtime,
        binds=tuple(dict.fromkeys((*config.binds, *shown))),
        scratch=config.scratch,
        repository=str(mount or ""),
        reading=None
        if reading is None
        else reading.model_dump(mode="json", exclude={"report"}),
    )


def lifespan_of(site: Site) -> Callable[[], Awaitable[Callable[[], Awaitable[None]]]]:
    """Return what starts a site; that returns what stops it. Jobs go on."""

    async def start() -> Callable[[], Awaitable[None]]:
        config = site.config
        _node_settings(config).save(config.work)
        await asyncio.to_thread(site.table.load)
        with contextlib.suppress(SchedulerError):
            # One that is down now may come up later: the loop says so, and waits.
            await site.executor.start()
        loop = asyncio.create_task(site.reconciler.run())

        async def stop() -> None:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
            await site.reconciler.close()
            await site.executor.close()

        return stop

    return start
