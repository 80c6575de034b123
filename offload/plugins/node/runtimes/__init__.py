"""How a container's processes are confined: the first runtime that works here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from offload.plugins.node.folder import PodError
from offload.plugins.node.runtimes.apptainer import Apptainer
from offload.plugins.node.runtimes.bubblewrap import Bubblewrap
from offload.plugins.node.runtimes.direct import Direct
from offload.plugins.node.runtimes.launch import Launch, Runtime

__all__ = ["RUNTIMES", "Launch", "Runtime", "choose"]

RUNTIMES: Mapping[str, type[Runtime]] = {
    "apptainer": Apptainer,
    "bubblewrap": Bubblewrap,
    "none": Direct,
}
"""In the order in which they are tried."""


def choose(wanted: str = "auto", binds: Collection[str] = ()) -> Runtime:
    """Return the runtime of that name, or the first that passes its probe here.

    Args:
        wanted: a name of :data:`RUNTIMES`, or ``auto``.
        binds: folders of the site that jobs see as well, read-only.

    Raises:
        PodError: there is no such runtime, or it does not work on this machine.
    """
    if wanted == "auto":
        return next(made for kind in RUNTIMES.values() if (made := kind(binds)).probe())
    kind = RUNTIMES.get(wanted)
    if kind is None:
        raise PodError(
            f"runtime {wanted!r}: expected auto or one of {', '.join(RUNTIMES)}"
        )
    runtime = kind(binds)
    if not runtime.probe():
        raise PodError(f"runtime {wanted}: its probe fails on this machine")
    return runtime
