"""The session's Slurm, ``slurm``, and others for who must break one: ``start_slurm``.

What a cluster offers is said in ``cluster.py`` beside this file. Tests elsewhere load
that file by its path, as this one does.
"""

import contextlib
import importlib.util
import os
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "slurm_cluster", Path(__file__).with_name("cluster.py")
)
cluster = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cluster)


def _needs_programs():
    if missing := cluster.missing_programs():
        message = f"no {', '.join(missing)}: type .ci/system-packages as root"
        # On the machine that judges changes a missing engine is a failure.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


@pytest.fixture(scope="session")
def slurm():
    """Four nodes for the whole session: leave no jobs, break nothing."""
    _needs_programs()
    with cluster.SlurmCluster() as running:
        yield running


@pytest.fixture
def start_slurm():
    """Start a cluster of one's own (arguments of ``SlurmCluster``), ended afterwards."""
    _needs_programs()
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(cluster.SlurmCluster(**options))
