"""The base: what a snapshot stands on but does not carry, the host's ``/usr``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from facility.environment import Interpreter

CARRIED_BY_THE_HOST = Path("/usr")
"""What lies below is described, not packed: every site has its own."""


@dataclass(frozen=True, slots=True)
class Base:
    """What a site must offer for a snapshot to run there."""

    architecture: str
    """As the kernel names it: ``x86_64``, ``aarch64``."""
    libc: str
    """``glibc`` or ``musl``."""
    libc_version: str
    """A site's must be at least as new; empty where it is not known."""
    python: str | None
    """Interpreter below ``/usr`` that the environment links to; None if there is no
    environment, or if it brings its interpreter along."""
    python_version: str | None
    """``3.11.2``, also of an interpreter that travels; None without environment."""

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Base:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        match data:
            case {
                "architecture": str(architecture),
                "libc": str(libc),
                "libc_version": str(libc_version),
                "python": (str() | None) as python,
                "python_version": (str() | None) as version,
            }:
                return cls(architecture, libc, libc_version, python, version)
            case _:
                raise ValueError(f"expected the base of a snapshot, got {data!r:.200}")


def base_of(
    interpreter: Interpreter, *, python: str | None, version: str | None
) -> Base:
    """Describe the base of an environment with that interpreter."""
    return Base(
        architecture=interpreter.machine,
        libc=interpreter.libc.name,
        libc_version=interpreter.libc.version,
        python=python,
        python_version=version,
    )
