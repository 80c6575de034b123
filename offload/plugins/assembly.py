"""Puts the parts of a site together, and sets them going."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from offload.cache import SiteCache
from offload.plugins.config import ExecutorKind, PluginConfig
from offload.plugins.errors import SchedulerError
from offload.plugins.executor import Executor
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
    retention = Retention(table, cache, config.retention)
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
    from offload.cache.reading.cache import RepositoryCache

    repository = RepositoryCache(config.work / "repository", reading)
    return SiteCache(config.work, is_eager=True, mount=mount, repository=repository)


def _node_settings(config: PluginConfig) -> NodeSettings:
    mount = None if config.repository is None else config.repository.mount
    shown = () if mount is None else (str(mount),)
    return NodeSettings(
        runtime=config.runtime,
        binds=tuple(dict.fromkeys((*config.binds, *shown))),
        scratch=config.scratch,
        repository=str(mount or ""),
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
