"""What goes wrong at a site."""

from __future__ import annotations

from facility.errors import FacilityError, UsageError


class PluginError(FacilityError):
    """Base of what goes wrong in a plugin."""


class ConfigError(PluginError, UsageError):
    """``site.yaml`` is wrong: every problem, one line each."""


class ImpossibleRequestError(PluginError):
    """The site can never run this pod; says what it asks for and what there is."""


class SchedulerError(PluginError):
    """A call of the scheduler's client failed; its own words.

    Whether the call had an effect is not known.
    """


class SchedulerRefusedError(SchedulerError):
    """The scheduler will never take this job."""


class SchedulerLimitError(SchedulerError):
    """The scheduler takes no more jobs now, or none as large as this array."""


class SchedulerTryLaterError(SchedulerError):
    """The scheduler did not take the job, for a reason that may pass."""
