"""A plugin in a process of its own, without Slurm: any user, a second to start."""

import contextlib

import pytest

from tests.engines.slurm.plugin import RunningPlugin
from tests.offload.plugins.world import World


@pytest.fixture
def world(tmp_path):
    """The parts of a site, with a scheduler in memory and a clock of our own."""
    return World(tmp_path)


@pytest.fixture
def start_plugin():
    """Start a plugin of the executor ``process``, with keys of site.yaml."""
    with contextlib.ExitStack() as stack:

        def start(**config):
            plugin = RunningPlugin(**{"runtime": "none", **config})
            stack.callback(plugin.close)
            return plugin.start()

        yield start


@pytest.fixture(scope="module")
def plugin():
    """A plugin for the tests of one module."""
    running = RunningPlugin(runtime="none")
    try:
        yield running.start()
    finally:
        running.close()
