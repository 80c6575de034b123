"""The client in a notebook: what it declares, and that it never waits for itself."""

import json
import os
import subprocess
import sys

import pytest

from facility.client.gateway_auth import declaration
from facility.environment import Environment, describe
from facility.process import ProcessIdentity

COLLECTED_ON_ITS_OWN_LOOP = """
import asyncio, os, sys
import dask_gateway
from facility.client.gateway_auth import HubAuth

auth = HubAuth("token") if sys.argv[1] == "facility" else dask_gateway.BasicAuth()
gateway = dask_gateway.Gateway("http://127.0.0.1:9", auth=auth)
loop = gateway.loop.asyncio_loop
holder = [gateway]
del gateway

async def collect():
    holder.clear()

try:
    asyncio.run_coroutine_threadsafe(collect(), loop).result(float(sys.argv[2]))
except TimeoutError:
    os._exit(9)
print("collected", flush=True)
"""


@pytest.mark.parametrize(
    ("auth", "patience_s", "status", "said"),
    [("facility", 60, 0, "collected\n"), ("stock", 1, 9, "")],
)
def test_collected_on_its_own_loop(auth, patience_s, status, said) -> None:
    """The stock client waits for ever there; with our class it does not."""
    script = ["-W", "ignore", "-c", COLLECTED_ON_ITS_OWN_LOOP]
    done = subprocess.run(
        [sys.executable, *script, auth, str(patience_s)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, said), done.stderr


def test_what_a_notebook_declares() -> None:
    declared = json.loads(json.dumps(declaration()))
    assert Environment.from_json(declared["environment"]).digest == describe().digest
    process = ProcessIdentity.from_json(declared["process"])
    assert process.pid == os.getpid()
    assert process.is_alive()
    assert declared["prefix"] == sys.prefix
