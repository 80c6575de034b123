import subprocess
import sys

from offload.plugins.node import shim

HEAVY = {"asyncio", "backports.zstd", "facility.environment", "httpx", "offload.cache",
         "offload.interlink", "offload.outputs", "offload.snapshot", "pydantic",
         "sqlalchemy"}  # fmt: skip


def test_what_every_job_waits_for_imports_nothing_heavy():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, offload.plugins.node.wrapper; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY & set(done.stdout.split()) == set()


ITSELF = """
import runpy, sys
sys.argv = ["shim", "/nonexistent"]
try:
    runpy.run_path({path!r}, run_name="__main__")
except FileNotFoundError:
    print(*sys.modules)
"""


def test_the_shim_needs_nothing_of_ours():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ITSELF.format(path=shim.__file__)],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    assert "json" in modules
    assert not {m for m in modules if m.startswith(("offload", "facility"))}
    assert not modules & {"asyncio", "pathlib", "subprocess"}
