"""A plugin in a process of its own, without Slurm: any user, a second to start."""

import contextlib
import importlib.util
from pathlib import Path

import pytest

_PATH = Path(__file__).parents[2] / "engines/slurm/plugin.py"
_spec = importlib.util.spec_from_file_location("slurm_plugin", _PATH)
plugin_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plugin_module)


@pytest.fixture(scope="session")
def calls():
    """How pods are made and read: a caller that shares no code with ours."""
    return plugin_module


@pytest.fixture
def start_plugin():
    """Start a plugin of the executor ``process``, with keys of site.yaml."""
    with contextlib.ExitStack() as stack:

        def start(**config):
            plugin = plugin_module.RunningPlugin(**{"runtime": "none", **config})
            stack.callback(plugin.close)
            return plugin.start()

        yield start


@pytest.fixture(scope="module")
def plugin():
    """A plugin for the tests of one module."""
    running = plugin_module.RunningPlugin(runtime="none")
    try:
        yield running.start()
    finally:
        running.close()
