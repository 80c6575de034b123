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
import asyncio, sys
import dask_gateway
from facility.client.gateway_auth import HubAuth

auth = HubAuth("token") if sys.argv[1] == "facility" else dask_gateway.BasicAuth()
gateway = dask_gateway.Gateway("http://127.0.0.1:9", auth=auth)
loop = gateway.loop.asyncio_loop
holder = [gateway]
del gateway

async def collect():
    holder.clear()

asyncio.run_coroutine_threadsafe(collect(), loop).result(timeout=5)
print("collected", flush=True)
"""


@pytest.mark.parametrize(("auth", "survives"), [("facility", True), ("stock", False)])
def test_collected_on_its_own_loop(auth: str, survives: bool) -> None:
    """The stock client waits for ever there; with our class it does not."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", COLLECTED_ON_ITS_OWN_LOOP, auth],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=8)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
    assert (output == "collected\n") is survives


def test_what_a_notebook_declares() -> None:
    declared = json.loads(json.dumps(declaration()))
    assert Environment.from_json(declared["environment"]).digest == describe().digest
    process = ProcessIdentity.from_json(declared["process"])
    assert process.pid == os.getpid()
    assert process.is_alive()
    assert declared["prefix"] == sys.prefix
