"""The user's side: programs that talk to a facility as a person does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facility.client.jobs import Job, newest_jobs, submit

__all__ = ["Job", "newest_jobs", "submit"]


def __getattr__(name: str) -> Any:
    # Who imports one module of this package must not pay for all of them.
    if name in __all__:
        from facility.client import jobs

        return getattr(jobs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
