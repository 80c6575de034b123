"""``/system-info``: what this machine, and the site behind it, can do."""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from offload.interlink.extensions import Interpreter, Limits, SystemInfo
from offload.plugins.config import PluginConfig
from offload.plugins.errors import PluginError
from offload.plugins.node.folder import PodError
from offload.plugins.node.runtimes import choose
from offload.plugins.site import Site

_VERSION = re.compile(r"Python (\d+\.\d+\.\d+\S*)")
_PYTHON = re.compile(r"python3(\.\d+)?")


async def system_info(site: Site) -> SystemInfo:
    """Return what the site is."""
    capacity = await site.executor.capacity()
    libc, libc_version = platform.libc_ver()
    return SystemInfo(
        version=version(),
        site=site.config.site,
        executors=(site.config.executor,),
        runtime=runtime_name(site.config),
        architecture=platform.machine(),
        libc=libc,
        libc_version=libc_version,
        pythons=await asyncio.to_thread(pythons, site.config.python),
        slices=capacity.devices,
        free_bytes=await asyncio.to_thread(site.free_bytes),
        limits=Limits(
            max_array_size=capacity.max_array_size,
            max_submit_jobs=capacity.max_submit_jobs,
            max_time_s=site.config.limits.time,
            max_memory_bytes=site.config.limits.memory,
        ),
        scheduler=capacity.scheduler,
        repository=site.config.repository.fqrn if site.config.repository else "",
    )


def version() -> str:
    """Return the plugin's version."""
    return metadata.version("analysis-facility")


def runtime_name(config: PluginConfig) -> str:
    """Return how containers are made here.

    Raises:
        PluginError: the runtime that the site wants does not work.
    """
    return _runtime_name(config.runtime, config.binds)


@cache
def _runtime_name(wanted: str, binds: tuple[str, ...]) -> str:
    try:
        return choose(wanted, binds).name
    except PodError as error:
        raise PluginError(str(error)) from None


@cache
def pythons(of_nodes: Path | None) -> tuple[Interpreter, ...]:
    """Return the interpreters that jobs may use: the configured one and ``/usr``'s."""
    paths = [of_nodes or Path(sys.executable)]
    paths += sorted(
        path for path in Path("/usr/bin").iterdir() if _PYTHON.fullmatch(path.name)
    )
    found = ((path, _python_version(path)) for path in paths)
    return tuple(
        Interpreter(path=str(path), version=known) for path, known in found if known
    )


def _python_version(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "-I", "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.match(done.stdout or done.stderr)
    return match[1] if match else ""


def free_bytes(folder: Path) -> int:
    """Return the room that its owner has in a folder's file system."""
    return shutil.disk_usage(folder).free
