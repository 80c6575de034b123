"""What can go wrong with jobs."""

from __future__ import annotations

from facility.errors import FacilityError, NotRunningError, UsageError


class JobsError(FacilityError):
    """Something of ours failed; the job is kept."""


class FacilityAwayError(JobsError, NotRunningError):
    """The facility does not run, and so no agent of the person."""


class JobRefusedError(JobsError, UsageError):
    """The job cannot be what was asked for: nothing was recorded."""

    exit_code = UsageError.exit_code


class NoSuchJobError(JobsError, UsageError):
    """Nobody knows a job of that id."""

    exit_code = UsageError.exit_code

    @classmethod
    def of(cls, name: object) -> NoSuchJobError:
        """Return the one of a name, as a person wrote it."""
        return cls(f"{name}: there is no such job; `facility jobs` lists them")


class NoSuchSiteError(JobsError, UsageError):
    """The facility has no site of that name."""

    exit_code = UsageError.exit_code
