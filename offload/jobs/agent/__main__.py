"""Run one agent: ``python -m offload.jobs.agent SETTINGS [--end-plugins]``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from offload.jobs.agent.serving import Agent, RunsAlreadyError, alone, end_plugins
from offload.jobs.errors import JobsError
from offload.jobs.settings import Settings


def main() -> int:
    """Return once there is nothing to do any more, or after SIGTERM."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--end-plugins", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = Settings.load(arguments.settings)
        with alone(settings):
            if arguments.end_plugins:
                asyncio.run(end_plugins(settings))
            else:
                asyncio.run(_serve(settings))
    except JobsError as error:
        print(f"agent: {error}", file=sys.stderr)
        return error.exit_code
    except RunsAlreadyError:
        return 0
    return 0


async def _serve(settings: Settings) -> None:
    agent = Agent(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()


sys.exit(main())
