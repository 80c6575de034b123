"""What a pod asks for, as numbers; refused if the site can never give it.

Source: Kubernetes documentation, "Init Containers", "Resource sharing within
containers": a pod needs the larger of what all its containers need together and what
one of its init containers needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from offload.interlink.pod import Container, Pod
from offload.interlink.quantity import parse_quantity
from offload.plugins.config import LimitsConfig
from offload.plugins.errors import ImpossibleRequestError

NODES, TASKS = "analysis-facility/nodes", "analysis-facility/tasks"
GROUP, INDEX = "analysis-facility/group", "analysis-facility/index"
GROUP_SIZE = "analysis-facility/group-size"
MIG_PREFIX = "nvidia.com/mig-"
_NO_DEVICES = ("cpu", "memory", "ephemeral-storage", "hugepages-")


@dataclass(frozen=True, slots=True)
class Request:
    """What a pod needs, altogether."""

    cpus: Fraction = Fraction(0)
    """0: whatever the site gives to who does not ask."""
    memory_bytes: int = 0
    """0: whatever the site gives to who does not ask."""
    devices: dict[str, int] = field(default_factory=dict)
    """By full resource name."""
    nodes: int = 1
    tasks: int = 1
    deadline_s: int | None = None

    @property
    def cpus_per_task(self) -> int:
        return ceil(self.cpus / self.tasks)

    @property
    def memory_per_node_bytes(self) -> int:
        return -(-self.memory_bytes // self.nodes)


def request_of(pod: Pod, limits: LimitsConfig) -> Request:
    """Return what a pod asks for.

    Raises:
        ImpossibleRequestError: it makes no sense, or is beyond the site's limits.
    """
    nodes, tasks = _count(pod, NODES, 1), _count(pod, TASKS, 0)
    request = Request(
        cpus=Fraction(_needed(pod, "cpu")),
        memory_bytes=ceil(_needed(pod, "memory")),
        devices={
            name: ceil(amount)
            for name in sorted(_device_names(pod))
            if (amount := _needed(pod, name)) > 0
        },
        nodes=nodes,
        tasks=tasks or nodes,
        deadline_s=pod.spec.active_deadline_seconds,
    )
    _refuse_beyond(request, limits)
    return request


def full_resource_name(name: str) -> str:
    """Return the resource name of a slice: ``1g.5gb`` is ``nvidia.com/mig-1g.5gb``."""
    return name if "/" in name else f"{MIG_PREFIX}{name}"


def _refuse_beyond(request: Request, limits: LimitsConfig) -> None:
    if request.deadline_s is not None and request.deadline_s <= 0:
        raise ImpossibleRequestError(
            f"activeDeadlineSeconds: expected at least 1, got {request.deadline_s}"
        )
    if request.tasks < request.nodes:
        raise ImpossibleRequestError(
            f"expected at least as many tasks as nodes ({request.nodes}),"
            f" got {request.tasks}"
        )
    beyond: tuple[tuple[str, float, float | None, str], ...] = (
        ("cpu", float(request.cpus), limits.cpus, "CPUs"),
        ("memory", request.memory_bytes, limits.memory, "bytes"),
        ("activeDeadlineSeconds", request.deadline_s or 0, limits.time, "s"),
    )
    for what, wanted, most, unit in beyond:
        if most is not None and wanted > most:
            raise ImpossibleRequestError(
                f"{what}: this site gives at most {most:g} {unit} to a job,"
                f" {wanted:g} were asked for"
            )


def _count(pod: Pod, annotation: str, default: int) -> int:
    text = pod.annotation(annotation)
    if text is None:
        return default
    is_number = text.isascii() and text.isdecimal() and len(text) <= 9
    if not is_number or not 1 <= int(text) <= 10**6:
        raise ImpossibleRequestError(
            f"annotation {annotation}: expected a number from 1, got {text[:40]!r}"
        )
    return int(text)


def _device_names(pod: Pod) -> set[str]:
    return {
        name
        for container in (*pod.spec.containers, *pod.spec.init_containers)
        for name in (*container.resources.limits, *container.resources.requests)
        if not name.startswith(_NO_DEVICES)
    }


def _needed(pod: Pod, name: str) -> Fraction:
    def largest(
        containers: Iterable[Container], total: Callable[[list[Fraction]], Fraction]
    ) -> Fraction:
        amounts = [_amount(container, name) for container in containers]
        return total(amounts) if amounts else Fraction(0)

    together = largest(pod.spec.containers, lambda amounts: sum(amounts, Fraction(0)))
    return max(together, largest(pod.spec.init_containers, max))


def _amount(container: Container, name: str) -> Fraction:
    resources = container.resources
    # A job is held to what it has asked for: the limit is what it may need.
    text = resources.limits.get(name) or resources.requests.get(name) or "0"
    try:
        amount = parse_quantity(text)
    except ValueError as error:
        raise ImpossibleRequestError(f"resource {name}: {error}") from None
    if not 0 <= amount < 2**60:
        raise ImpossibleRequestError(
            f"resource {name}: expected an amount from 0, got {text[:40]!r}"
        )
    return amount
