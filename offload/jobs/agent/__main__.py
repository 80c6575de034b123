"""Run the agent of one person: ``python -m offload.jobs.agent``.

It reads the settings that the variable ``FACILITY_OFFLOAD`` names.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from offload.jobs.agent.presence import RunsAlreadyError, alone, has_open_jobs
from offload.jobs.errors import JobsError
from offload.jobs.settings import VARIABLE, Settings


def main() -> int:
    """Return once there is nothing to do any more, or after SIGTERM."""
    parser = argparse.ArgumentParser(prog="agent", description=__doc__)
    parser.add_argument(
        "--if-open", action="store_true", help="if no job is open, as --end-plugins"
    )
    parser.add_argument(
        "--end-plugins", action="store_true", help="end what a killed one left"
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for talkative in ("httpx", "alembic", "uvicorn", "asyncssh"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = _settings()
        is_idle = arguments.if_open and not has_open_jobs(settings)
        with alone(settings):
            if is_idle or arguments.end_plugins:
                asyncio.run(_end_plugins(settings))
            else:
                asyncio.run(_serve(settings))
    except JobsError as error:
        print(f"agent: {error}", file=sys.stderr)
        return error.exit_code
    except RunsAlreadyError:
        return 0
    return 0


def _settings() -> Settings:
    settings = Settings.from_environment()
    if settings is None:
        raise JobsError(f"{VARIABLE} must name the settings file")
    return settings


async def _serve(settings: Settings) -> None:
    # Late: an agent with nothing to do should not cost a second of processor time.
    from offload.jobs.agent.serving import Agent

    loop = asyncio.get_running_loop()
    is_left = True
    while is_left:
        agent = Agent(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, agent.stop)
        is_left = await agent.run()


async def _end_plugins(settings: Settings) -> None:
    from offload.jobs.agent.local_plugin import LocalPlugin

    await asyncio.gather(
        *(
            LocalPlugin(site, settings.sites_dir / site.name).close()
            for site in settings.sites
            if not site.is_remote
        )
    )


if __name__ == "__main__":
    sys.exit(main())
