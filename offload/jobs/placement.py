"""Where a job runs: which sites could run it, and why the others could not.

Pure: what is known of the sites comes in as data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from facility.spec.units import format_bytes
from offload.jobs.specification import JobSpec


class HostBase(Protocol):
    """What a snapshot needs of the host's ``/usr`` (``offload.snapshot.Base``)."""

    @property
    def architecture(self) -> str: ...
    @property
    def libc(self) -> str: ...
    @property
    def libc_version(self) -> str: ...
    @property
    def python(self) -> str | None: ...
    @property
    def python_version(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """What a site said it is. What it did not say is empty and not checked."""

    architecture: str = ""
    libc: str = ""
    libc_version: str = ""
    pythons: tuple[tuple[str, str], ...] = ()
    """Path and version of each."""
    slices: Mapping[str, int] | None = None
    """Devices by resource name."""
    executors: tuple[str, ...] = ()
    max_time_s: float | None = None
    max_memory_bytes: int | None = None

    @classmethod
    def from_json(cls, text: str) -> SiteInfo:
        """Read a SystemInfo of the wire; unknown keys are ignored."""
        data: dict[str, Any] = json.loads(text)
        limits = data.get("limits") or {}
        return cls(
            architecture=data.get("architecture", ""),
            libc=data.get("libc", ""),
            libc_version=data.get("libc_version", ""),
            pythons=tuple((p["path"], p["version"]) for p in data.get("pythons") or ()),
            slices=data.get("slices"),
            executors=tuple(data.get("executors") or ()),
            max_time_s=limits.get("max_time_s"),
            max_memory_bytes=limits.get("max_memory_bytes"),
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A site that the job could go to."""

    name: str
    info: SiteInfo | None
    """``None`` if the site was never reached."""
    load: int = 0
    """Executions of this person that are queued or run there."""
    pause: str = ""
    """Why nothing can be sent there now; empty if it can."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The job goes there."""

    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No site can take it now."""

    reason: str
    is_final: bool
    """Whether no site could, as they are: waiting would not help."""


def resource_of(slice_: str) -> str:
    """Return the Kubernetes resource of a slice as people name it.

    Source: NVIDIA's device plugin, MIG strategy "mixed".
    """
    if "/" in slice_:
        return slice_
    if slice_ == "gpu":
        return "nvidia.com/gpu"
    # Resource names have no plus sign; the device plugin writes 1g.5gb+me so.
    return f"nvidia.com/mig-{slice_.replace('+', '.')}"


def choose(
    spec: JobSpec, base: HostBase, sites: Sequence[Candidate]
) -> Chosen | Nowhere:
    """Return the named site, or the least loaded legal one (the first of equals)."""
    wanted = [s for s in sites if spec.site in {None, s.name}]
    if not wanted:
        known = ", ".join(s.name for s in sites) or "none"
        return Nowhere(f"site {spec.site!r}: no such site; there are: {known}", True)
    problems = {
        s.name: obstacles(spec, base, s.info) for s in wanted if s.info is not None
    }
    legal = [s for s in wanted if problems.get(s.name) == () and not s.pause]
    if legal:
        best = min(legal, key=lambda site: site.load)
        return Chosen(best.name, _reason(spec, best, wanted))
    lines = [f"{name}: {'; '.join(why)}" for name, why in problems.items() if why]
    paused = [
        f"{s.name}: {s.pause or 'not reached yet'}"
        for s in wanted
        if not problems.get(s.name)
    ]
    return Nowhere(" | ".join([*lines, *paused]), is_final=not paused)


def _reason(spec: JobSpec, best: Candidate, wanted: Sequence[Candidate]) -> str:
    if spec.site is not None:
        return "named at submission"
    if len(wanted) == 1:
        return "the only site"
    return f"can run it, {best.load} queued or running there"


def obstacles(spec: JobSpec, base: HostBase, info: SiteInfo) -> tuple[str, ...]:
    """Return why the site could never run the job, in words; empty if it could."""
    return (*_of_host(base, info), *_of_request(spec, info))


def _of_host(base: HostBase, info: SiteInfo) -> list[str]:
    found = []
    if info.architecture and info.architecture != base.architecture:
        found.append(f"is {info.architecture}, the snapshot is for {base.architecture}")
    if info.libc and info.libc != base.libc:
        found.append(f"has {info.libc}, the snapshot needs {base.libc}")
    elif info.libc_version and _version(info.libc_version) < _version(
        base.libc_version
    ):
        found.append(
            f"has {info.libc} {info.libc_version}, the snapshot needs at least "
            f"{base.libc_version}"
        )
    if base.python is not None and base.python_version is not None:
        wanted = _version(base.python_version)[:2]
        there = dict(info.pythons)
        version = there.get(base.python)
        if info.pythons and version is None:
            found.append(f"has no {base.python}, which the environment is made for")
        elif version is not None and _version(version)[:2] != wanted:
            found.append(
                f"has Python {version} as {base.python}, the environment needs "
                f"{'.'.join(map(str, wanted))}"
            )
    return found


def _of_request(spec: JobSpec, info: SiteInfo) -> list[str]:
    found = []
    if spec.slice is not None and info.slices is not None:
        resource = resource_of(spec.slice)
        if not info.slices.get(resource):
            names = ", ".join(sorted(info.slices)) or "none"
            found.append(f"has no slice {spec.slice} ({resource}); it has: {names}")
    if spec.nodes > 1 and info.executors == ("process",):
        found.append(f"is one machine, {spec.nodes} nodes were asked for")
    if info.max_time_s is not None and spec.time_s > info.max_time_s:
        found.append(
            f"runs jobs for at most {info.max_time_s:.0f} s, "
            f"{spec.time_s:.0f} s were asked for"
        )
    most = info.max_memory_bytes
    if most is not None and spec.memory_bytes > most:
        found.append(
            f"gives at most {format_bytes(most)} of memory, "
            f"{format_bytes(spec.memory_bytes)} were asked for"
        )
    return found


def _version(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split("."):
        digits = "".join(c for c in part if c.isdecimal())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
