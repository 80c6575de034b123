"""The downward API: what a container may ask about its own pod.

Source: Kubernetes documentation, "Downward API" (available fields).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from offload.plugins.node.folder import PodError
from offload.plugins.node.pod import Container, Json, Pod

_KEYED = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>[^']+)'\]")


@dataclass(frozen=True, slots=True)
class Node:
    """Where the pod runs."""

    name: str
    cpus: int
    memory_bytes: int

    @classmethod
    def this(cls, environment: Mapping[str, str]) -> Node:
        """Describe the share of this machine that the scheduler gave us."""
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        allotted = environment.get("SLURM_MEM_PER_NODE", "")
        return cls(
            name=environment.get("SLURMD_NODENAME") or socket.gethostname(),
            cpus=int(environment.get("SLURM_CPUS_ON_NODE") or os.cpu_count() or 1),
            memory_bytes=int(allotted) * 2**20 if allotted.isdigit() else pages,
        )


def field(pod: Pod, node: Node, path: str) -> str:
    """Return a field of the pod as text.

    Raises:
        PodError: there is no such field.
    """
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        values = pod.labels if keyed["map"] == "labels" else pod.annotations
        return values.get(keyed["key"], "")
    match path:
        case "metadata.name":
            return pod.name
        case "metadata.namespace":
            return pod.namespace
        case "metadata.uid":
            return pod.uid
        case "metadata.labels":
            return _map(pod.labels)
        case "metadata.annotations":
            return _map(pod.annotations)
        case "spec.nodeName":
            return node.name
        case "spec.serviceAccountName":
            return pod.service_account
        case "status.hostIP" | "status.podIP" | "status.hostIPs" | "status.podIPs":
            return _address(node)
    raise PodError(f"fieldPath {path!r}: no such field in the downward API")


def _map(values: Mapping[str, str]) -> str:
    """Return labels or annotations as a volume shows them: a sorted line each."""
    escaped = {ord("\\"): r"\\", ord('"'): r"\"", ord("\n"): r"\n"}
    return "\n".join(
        f'{key}="{value.translate(escaped)}"' for key, value in sorted(values.items())
    )


def _address(node: Node) -> str:
    try:
        return socket.gethostbyname(node.name)
    except OSError:
        return "127.0.0.1"


def resource(pod: Pod, node: Node, own: Container | None, reference: Json) -> str:
    """Return a request or limit, rounded up to whole divisors.

    Without a limit it is what the node has (as Kubernetes defines it).

    Raises:
        PodError: there is no such container or resource.
    """
    # Quantities are exact fractions, in a package whose import is not for every job.
    from offload.interlink.quantity import parse_quantity

    name = reference.get("containerName") or ""
    container = own
    if name:
        container = next((c for c in pod.containers if c.name == name), None)
    kind, _, what = reference.get("resource", "").partition(".")
    if container is None or kind not in {"limits", "requests"} or not what:
        raise PodError(f"resourceFieldRef {dict(reference)}: no such container or kind")
    values = container.limits if kind == "limits" else container.requests
    has = {"cpu": str(node.cpus), "memory": str(node.memory_bytes)}
    default = has.get(what, "0") if kind == "limits" else "0"
    try:
        value = parse_quantity(values.get(what, default))
        divisor = parse_quantity(str(reference.get("divisor") or "1")) or 1
    except ValueError as error:
        raise PodError(
            f"resourceFieldRef {reference.get('resource')}: {error}"
        ) from None
    return str(-(-value // divisor))
