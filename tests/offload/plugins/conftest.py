"""A plugin in a process of its own, without Slurm: any user, a second to start."""

import contextlib
import importlib.util
from pathlib import Path

import pytest


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_HERE = Path(__file__)
plugin_module = load("slurm_plugin", _HERE.parents[2] / "engines/slurm/plugin.py")
world_module = load("plugin_world", _HERE.with_name("world.py"))


@pytest.fixture
def world(tmp_path):
    """The parts of a site, with a scheduler in memory and a clock of our own."""
    return world_module.World(tmp_path)


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
