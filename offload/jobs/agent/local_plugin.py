"""A site on this machine: its plugin runs as a process of the person's own.

The plugin has a session of its own and does not bear the facility's mark: jobs that it
started go on when the facility ends. An agent that comes later finds it by who listens
on its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from facility import __version__
from facility.process import ProcessIdentity, end, identify
from facility.runtime import OUTLIVES
from facility.spec import Site
from offload.jobs.unix_sockets import listener
from offload.link import Paused, PausedError, Reachable, State
from offload.link.state import delay_s
from offload.link.ways import plugin_settings

START_S = 30.0
"""A plugin that does not listen by then has failed."""
GRACE_S = 10.0
LONGEST_PATH = 95
"""Of a socket (unix(7): 107 bytes) with room for the plugin's draft of it."""
_POLL_S = 0.02
_FOREIGN = ("FACILITY_", "JUPYTERHUB_", "JPY_")

log = logging.getLogger("facility.agent")

# Not by import: the home's side does not know the site's. And not the script, which an
# environment that was moved has with a wrong interpreter.
COMMAND = (sys.executable, "-c", "from offload.plugins.main import main; main()")


class LocalPlugin:
    """Starts the plugin of one site, and adopts one that runs already.

    See :class:`offload.link.state.Link`.

    Args:
        site: The site; no host.
        folder: Of the person, for configuration, socket, log and jobs.
        command: The plugin, without arguments.
        clock: Tells the time, with a time zone.
    """

    def __init__(
        self,
        site: Site,
        folder: Path,
        *,
        command: tuple[str, ...] = COMMAND,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._site = site
        self._folder = folder
        self._command = command
        self._clock = clock
        self._child: subprocess.Popen[bytes] | None = None
        self._state: State = Paused(f"the plugin of {site.name} was not started yet")
        self._failures = 0
        self._not_before = clock()
        self._lock = asyncio.Lock()

    @property
    def socket(self) -> Path:
        """Where the plugin listens; somewhere shorter if the folder's path is long."""
        path = self._folder / "plugin.sock"
        if len(os.fsencode(path)) <= LONGEST_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return _short_folder() / f"{name}.sock"

    @property
    def state(self) -> State:
        return self._state

    async def open(self) -> Path:
        async with self._lock:
            # A refused connection answers at once; nothing waits here.
            if self._listener() is not None and self._is_configured_so():
                self._reap()
                self._works()
                return self.socket
            if self._clock() < self._not_before and isinstance(self._state, Paused):
                raise PausedError(self._state)
            try:
                await self._start()
            except _FailedError as error:
                self._failures += 1
                wait = timedelta(seconds=delay_s(self._failures))
                self._not_before = self._clock() + wait
                self._state = Paused(str(error), self._not_before)
                raise PausedError(self._state) from error
            self._works()
            return self.socket

    async def close(self) -> None:
        """End the plugin; its jobs go on and are found again by the next one."""
        async with self._lock:
            running = self._listener() or self._starting()
            if running is not None:
                await end(running, grace_s=GRACE_S)
            self._reap()

    def _starting(self) -> ProcessIdentity | None:
        """Return the plugin that was started and does not listen yet."""
        child = self._child
        is_there = child is not None and child.poll() is None
        return identify(child.pid) if child is not None and is_there else None

    def _listener(self) -> ProcessIdentity | None:
        try:
            return listener(self.socket, uid=os.geteuid())
        except _FailedError:  # whoever has the folder of its socket: not it
            return None

    def _works(self) -> None:
        self._failures = 0
        self._state = Reachable()

    @property
    def _config_file(self) -> Path:
        return self._folder / "site.yaml"

    def _content(self) -> str:
        # JSON is YAML. A plugin of another version is not adopted.
        text = json.dumps(self._config(), indent=1, sort_keys=True)
        return f"# analysis-facility {__version__}\n{text}\n"

    def _config(self) -> dict[str, Any]:
        work = str(self._folder / "work")
        ours = {"socket": str(self.socket)}
        if self._site.config is None:
            return plugin_settings(self._site, self._site.work or work) | ours
        path = Path(self._site.config).expanduser()
        try:
            given = YAML(typ="safe", pure=True).load(path.read_text())
        except (OSError, YAMLError) as error:
            why = " ".join(str(error).split())
            raise _FailedError(f"site {self._site.name}: {path}: {why}") from None
        if not isinstance(given, dict | None):
            raise _FailedError(f"site {self._site.name}: {path}: expected keys")
        return {"work": work, **(given or {}), **ours}

    def _is_configured_so(self) -> bool:
        with contextlib.suppress(OSError, _FailedError):
            return self._config_file.read_text() == self._content()
        return False

    async def _start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = self._content()
        running = self._listener()
        if running is not None:
            log.info("site %s: its configuration changed", self._site.name)
            await end(running, grace_s=GRACE_S)
        self._reap()
        draft = self._config_file.with_suffix(".new")
        draft.write_text(content)
        draft.replace(self._config_file)
        child = self._launch()
        log.info("site %s: plugin %d started", self._site.name, child.pid)
        deadline = asyncio.get_running_loop().time() + START_S
        while self._listener() is None:
            # It may have ended because another of an agent before us is starting.
            if child.poll() is not None:
                await asyncio.sleep(1.0)
                if self._listener() is not None:
                    break
                raise _FailedError(self._why())
            if asyncio.get_running_loop().time() > deadline:
                raise _FailedError(self._why())
            await asyncio.sleep(_POLL_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)
        }
        with self._log_file.open("ab") as output:
            child = subprocess.Popen(
                [*self._command, "--config", str(self._config_file)],
                env=environment | {OUTLIVES: "1"},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._child = child
        return child

    @property
    def _log_file(self) -> Path:
        return self._folder / "plugin.log"

    def _why(self) -> str:
        path = self._log_file
        lines = path.read_text(errors="replace").splitlines()
        said = next((line for line in reversed(lines) if line.strip()), "nothing")
        return f"the plugin of {self._site.name} does not start: {said} (log: {path})"

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            log.info(
                "site %s: plugin %d ended: %s",
                self._site.name,
                self._child.pid,
                self._child.returncode,
            )
            self._child = None


def _short_folder() -> Path:
    """Return a folder of ours with a short path.

    Raises:
        _FailedError: somebody else has made it.
    """
    folder = Path(tempfile.gettempdir()) / f"analysis-facility-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise _FailedError(f"{folder}: expected a folder of mine: remove it")
    folder.chmod(0o700)
    return folder


class _FailedError(Exception):
    """The plugin cannot be started; the text is for the person."""
