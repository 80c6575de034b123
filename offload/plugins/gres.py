"""Slices and devices as Slurm counts them: ``nvidia.com/mig-1g.5gb`` to ``--gres``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from facility.spec.diagnostics import nearest
from offload.plugins.errors import ImpossibleRequestError
from offload.plugins.requests import MIG_PREFIX, Request, full_resource_name

_GRES = re.compile(
    r"(?P<name>\w+)(?::(?P<type>[A-Za-z][^:(,]*))?(?::(?P<count>\d+[kKmMgG]?))?(?:\(.*)?"
)
_WHOLE_GPU = "nvidia.com/gpu"
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def read_gres(text: str) -> Counter[str]:
    """Read the gres of a node (``gpu:a100_1g.5gb:7(S:0-1),gpu:a100:1``)."""
    found: Counter[str] = Counter()
    for part in re.split(r",(?![^(]*\))", text.strip()):
        match = _GRES.fullmatch(part.strip())
        if match is None or part.startswith("(null)"):
            continue
        kind = match["type"]
        name = f"{match['name']}:{kind}" if kind else match["name"]
        count = match["count"] or "1"
        unit = count[-1].lower() if not count.isdecimal() else ""
        found[name] += int(count.rstrip("kKmMgG")) * _FACTORS[unit]
    return found


def slices_of(
    configured: Mapping[str, str], available: Iterable[str]
) -> dict[str, str]:
    """Return resource names, each with its gres.

    What the site has configured, and what Slurm's own types say: a type that ends in a
    MIG profile (``a100_1g.5gb``) is that slice, every other GPU type a whole GPU.
    """
    found: dict[str, str] = {}
    for gres in sorted(available):
        name, _, kind = gres.partition(":")
        if name != "gpu":
            continue
        profile = re.search(r"(?:^|_)(\d+g\.\d+gb(?:\+\w+)*)$", kind)
        if profile is not None:
            found.setdefault(f"{MIG_PREFIX}{profile[1]}", gres)
        else:
            found.setdefault(_WHOLE_GPU, "gpu")
    return found | {full_resource_name(name): g for name, g in configured.items()}


def gres_option(request: Request, slices: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ``--gres`` of a request; nothing if it wants no device.

    Raises:
        ImpossibleRequestError: the site has no such slice.
    """
    wanted = []
    for name, count in request.devices.items():
        gres = slices.get(name)
        if gres is None:
            shown = name.removeprefix(MIG_PREFIX)
            have = ", ".join(sorted(n.removeprefix(MIG_PREFIX) for n in slices))
            hint = nearest(shown, [n.removeprefix(MIG_PREFIX) for n in slices])
            raise ImpossibleRequestError(
                f"this site has no slice {shown!r}; it has: {have or 'none'}{hint}"
            )
        wanted.append(f"{gres}:{-(-count // request.nodes)}")
    return (f"--gres={','.join(wanted)}",) if wanted else ()
