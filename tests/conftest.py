import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
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


PATIENCE_S = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give engines more time: on a busy machine each of them starts slowly."""
    for item in items:
        is_engine = item.get_closest_marker("engines") is not None
        if is_engine and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(PATIENCE_S))


def pytest_collection_finish() -> None:
    """Look at what is imported by now no more: a sixth of the time went into that.

    What tests leave behind is still found, after more of it and at the end.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _no_open_places_are_left(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Remove what root's facilities keep outside their state: places and people's jobs.

    It is named after the facility's directory, and those have the same names in each
    run: the next one would take our clusters and jobs for its own.
    """
    yield
    if os.geteuid() != 0:
        return
    for key in _keys_of_facilities(tmp_path_factory.getbasetemp()):
        for base in ("/var/lib", Path.home() / ".local/state"):
            for place in Path(base).glob(f"analysis-facility/*-{key}"):
                shutil.rmtree(place)


def _keys_of_facilities(folder: Path) -> Iterator[str]:
    # Not below the folders of the facilities: these hold whole environments.
    for pattern in ("*/*", "*", "*/*/*"):
        for places in folder.glob(f"{pattern}/analysis-facility/places"):
            yield from (path.name for path in places.iterdir())
