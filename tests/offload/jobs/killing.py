"""Kills the agent at each step of a job, and lets the next one go on.

``python killing.py SETTINGS ROOT IMAGE FIRST STEP``: for the points FIRST, FIRST + STEP,
... one job each, until a job was carried to its end before its point came. The agent of
a point is a fork of this process, killed with SIGKILL right before or right after the
ledger, the site or the folders at home were changed. Prints one line of JSON for each
point.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from offload.interlink.connection import Connection
from offload.jobs.agent import returning
from offload.jobs.agent.presence import alone
from offload.jobs.agent.serving import Agent
from offload.jobs.database import Database
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.jobs.specification import job_spec
from offload.jobs.submission import submit
from offload.snapshot import LocalStore, load


class Killer:
    def __init__(self, point: int, told: int) -> None:
        self.left = point
        self.told = told

    def __call__(self, where: str) -> None:
        self.left -= 1
        if self.left == 0:
            os.write(self.told, where.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def arm(kill: Killer) -> None:
    write, stream = Database.write, Connection.stream

    @contextmanager
    def killing_write(self):
        kill("before a change of the ledger")
        with write(self) as connection:
            yield connection
        kill("after a change of the ledger")

    @asynccontextmanager
    async def killing_stream(self, method, path, **more):
        kill(f"before {method} {path.rpartition('/')[2]}")
        async with stream(self, method, path, **more) as response:
            kill(f"after {method} {path.rpartition('/')[2]}")
            yield response

    def around(name):
        real = getattr(returning, name)

        def killing(*arguments, **more):
            kill(f"before {name}")
            result = real(*arguments, **more)
            kill(f"after {name}")
            return result

        setattr(returning, name, killing)

    Database.write = killing_write
    Connection.stream = killing_stream
    around("land")
    around("merge")


def agent(settings: Settings, point: int | None) -> tuple[bool, str]:
    """Run an agent in a fork; return whether it was killed, and where."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        if point is not None:
            arm(Killer(point, theirs))
        with alone(settings):
            asyncio.run(Agent(settings).run())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        where = pipe.read()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        raise SystemExit("the agent failed")
    return os.WIFSIGNALED(status), where


def main() -> None:
    settings = Settings.load(Path(sys.argv[1]))
    root, image = sys.argv[2], sys.argv[3]
    point, step = int(sys.argv[4]), int(sys.argv[5])
    snapshot = load(image, LocalStore(settings.snapshots))
    spec = job_spec(command=["x"], root=root, cwd=root, outputs=["results/**"])
    killed = True
    while killed:
        id_ = submit(snapshot, spec, settings)
        killed, where = agent(settings, point)
        if killed:
            agent(settings, None)
        ledger = Ledger(settings.ledger)
        job = ledger.job(id_, with_elements=True)
        is_open = bool(ledger.open_jobs())
        ledger.close()
        print(
            json.dumps(
                {
                    "job": int(id_),
                    "uid": job.elements[0].uid,
                    "point": point,
                    "where": where,
                    "outcome": job.outcome,
                    "is_open": is_open,
                    "stages": list(job.times),
                }
            ),
            flush=True,
        )
        point += step


main()
