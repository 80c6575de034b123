"""``offload-plugin --config site.yaml``: serves one site on a unix socket.

Needs no root. ``--check`` says whether it would work, and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facility.errors import ExitCode, FacilityError, UsageError
from offload.plugins.config import PluginConfig, load_config

if TYPE_CHECKING:  # late: a site that nobody dials from needs no SSH library
    import uvicorn

    from offload.link.dial import Facility
    from offload.link.state import State

KEY = Path("~/.config/analysis-facility/site-key")
KNOWN_HOSTS = Path("~/.config/analysis-facility/known_hosts")

_LONGEST_SOCKET_PATH = 107
_STOP_S = 5

log = logging.getLogger("offload.plugins")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with the facility's exit codes."""
    parser = argparse.ArgumentParser(
        prog="offload-plugin", description="Runs pods of an analysis facility here."
    )
    parser.add_argument("--config", type=Path, help="site.yaml; defaults without it")
    parser.add_argument(
        "--dial", metavar="HOST:PORT", help="be reached from a facility: dial in there"
    )
    parser.add_argument(
        "--key", type=Path, default=KEY, help=f"private key to dial in with: {KEY}"
    )
    parser.add_argument(
        "--known-hosts",
        type=Path,
        default=KNOWN_HOSTS,
        help=f"the facility's host key: {KNOWN_HOSTS}",
    )
    parser.add_argument(
        "--check", action="store_true", help="say whether it would work, and end"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # One line a query would fill the disk.
    for name in ("httpx", "asyncssh"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        config = (
            PluginConfig() if options.config is None else load_config(options.config)
        )
        if options.check:
            sys.exit(_check(config))
        facility = None
        if options.dial is not None:
            from offload.link.dial import Facility

            facility = Facility.parse(
                options.dial,
                site=config.site,
                key=options.key.expanduser(),
                known_hosts=options.known_hosts.expanduser(),
            )
        sys.exit(_serve(config, facility))
    except FacilityError as error:
        sys.stderr.write(f"offload-plugin: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.FAILED)


def _serve(config: PluginConfig, facility: Facility | None) -> int:
    os.umask(0o077)
    with _alone(config.work), _listening(config.socket_path) as listener:
        # Late: --help and a wrong site.yaml are answered at once.
        import uvicorn

        from offload.plugins.assembly import assemble, lifespan_of
        from offload.plugins.server import make_app

        site = assemble(config, instance_of(config.work))
        app = make_app(site, lifespan_of(site))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=_STOP_S,
                timeout_keep_alive=60,
            )
        )
        # The server hands on the signal that stopped it: there is still to clean up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        asyncio.run(_run(server, listener, config, facility))
        return ExitCode.OK if server.started else ExitCode.FAILED


async def _run(
    server: uvicorn.Server,
    listener: socket.socket,
    config: PluginConfig,
    facility: Facility | None,
) -> None:
    """Serve until a signal, and be reached from the facility meanwhile."""
    if facility is None:
        await server.serve(sockets=[listener])
        return
    from offload.link.dial import dial

    def tell(state: State) -> None:
        log.info("%s:%d: %s", facility.host, facility.port, state)

    dialing = asyncio.create_task(dial(facility, config.socket_path, tell))
    try:
        await server.serve(sockets=[listener])
    finally:
        dialing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dialing


def _check(config: PluginConfig) -> int:
    from offload.plugins.assembly import assemble
    from offload.plugins.site_info import system_info

    async def ask() -> str:
        site = assemble(config, instance_of(config.work))
        await site.executor.start()
        info = await system_info(site)
        await site.executor.close()
        return info.model_dump_json(indent=1)

    sys.stdout.write(f"{asyncio.run(ask())}\n")
    return ExitCode.OK


def instance_of(work: Path) -> str:
    """Return the name of a work area, by which its jobs are known; made once."""
    path = work / "instance"
    with contextlib.suppress(FileNotFoundError):
        if known := path.read_text().strip():
            return known
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".instance.{os.getpid()}")
    draft.write_text(uuid.uuid4().hex)
    # Of two that make it at once one wins, and both use his.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text().strip()


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (work / "plugin.lock").open("a")
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"work: {work}: expected a folder of mine, got: {why}"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"work: {work} is served by another plugin: stop that, or choose"
                " another folder"
            ) from None
        yield


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """Listen on a unix socket of mode 0600; who has the lock may replace an old one."""
    draft = path.with_name(f".{path.name}.new")
    if len(os.fsencode(draft)) > _LONGEST_SOCKET_PATH:
        most = _LONGEST_SOCKET_PATH - 5
        raise UsageError(
            f"socket: expected a path of at most {most} bytes, got"
            f" {len(os.fsencode(path))}: {path}"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        listener.bind(str(draft))
        draft.chmod(0o600)
        listener.listen(128)
        draft.replace(path)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise UsageError(f"socket: cannot listen on {path}: {why}") from None
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
