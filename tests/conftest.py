import gc
import os

from hypothesis import HealthCheck, settings

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "facility", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("facility")

# An environment that whoever runs the tests has activated is not the one of the jobs
# that the tests submit.
for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
    os.environ.pop(name, None)


def pytest_collection_finish() -> None:
    """Look at what is imported by now no more: a sixth of the time went into that.

    What tests leave behind is still found, after more of it and at the end.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
