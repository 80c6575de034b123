"""The session's Slurm, ``slurm``, and others for who must break one: ``start_slurm``.

What a cluster offers is said in ``cluster.py`` beside this file, what a plugin does in
``plugin.py``.
"""

import contextlib

import pytest

from tests.engines.slurm.cluster import SlurmCluster, missing_programs
from tests.engines.slurm.plugin import RunningPlugin


def _needs_programs():
    if missing := missing_programs():
        message = f"no {', '.join(missing)}: type .ci/system-packages as root"
        # On the machine that judges changes a missing engine is a failure.
        pytest.skip(message)


@pytest.fixture(scope="session")
def slurm():
    """Four nodes for the whole session: leave no jobs, break nothing."""
    _needs_programs()
    with SlurmCluster() as running:
        yield running


@pytest.fixture
def start_slurm():
    """Start a cluster of one's own (arguments of ``SlurmCluster``), ended afterwards."""
    _needs_programs()
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(SlurmCluster(**options))


@pytest.fixture
def start_plugin():
    """Start a plugin: ``start_plugin(slurm, key=...)`` with keys of site.yaml."""
    with contextlib.ExitStack() as stack:

        def start(slurm=None, /, **config):
            plugin = RunningPlugin(slurm, **config)
            stack.callback(plugin.close)
            return plugin.start()

        yield start


@pytest.fixture(scope="module")
def plugin(slurm):
    """A plugin of the session's Slurm, for the tests of one module."""
    running = RunningPlugin(slurm)
    try:
        yield running.start()
    finally:
        running.close()
        slurm.wait(lambda: slurm.jobs() == [], 30, "no job is left")
