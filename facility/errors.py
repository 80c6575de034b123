"""What went wrong, in one line that a person can act on, and its exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the ``facility`` command. Documented in the README."""

    OK = 0
    FAILED = 1
    """Something broke on our side; the log says what."""
    USAGE = 2
    """The person's input or the machine does not fit; the line says what to do."""
    NOT_RUNNING = 3
    """The facility, or the part asked for, is not running."""
    INTERRUPTED = 130
    """After Ctrl-C, as shells have it."""


class FacilityError(Exception):
    """Base of every error that people see: one line, and an exit code."""

    exit_code: ExitCode = ExitCode.FAILED


class UsageError(FacilityError):
    """The input is wrong: says what, where, expected, got and what to do."""

    exit_code = ExitCode.USAGE


class NotRunningError(FacilityError):
    """The facility is not running in this directory."""

    exit_code = ExitCode.NOT_RUNNING
