"""A real sshd (OpenSSH) on a port of its own, with keys of its own, as any user."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

SSHD = "/usr/sbin/sshd"


def free_port() -> int:
    """Return a port that no connection gets: it must be free again and again."""
    for port in random.sample(range(20_000, 30_000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


class LoginNode:
    """sshd for whoever runs the tests; nothing of it is outside its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.options: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        for name in ("host", "user"):
            self.key(name)
        (folder / "authorized").write_text(self.public("user"))

    def key(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
            subprocess.run(words, check=True)
        return path

    def public(self, name: str) -> str:
        self.key(name)
        return (self.folder / f"{name}.pub").read_text()

    def known_hosts(self, name: str = "host", port: int | None = None) -> Path:
        path = self.folder / f"known_{name}"
        path.write_text(f"[127.0.0.1]:{port or self.port} {self.public(name)}")
        return path

    def start(self) -> None:
        options = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self.folder / "host"),
            "AuthorizedKeysFile": str(self.folder / "authorized"),
            "PidFile": str(self.folder / "sshd.pid"),
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
        } | self.options
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{k} {v}\n" for k, v in options.items()))
        if os.geteuid() == 0:  # its privilege separation insists on this place
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (self.folder / "sshd.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", config], stdout=log, stderr=log
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.02)
        pytest.fail((self.folder / "sshd.log").read_text())

    def stop(self) -> None:
        """End sshd with all its connections, as a reboot of the login node does."""
        if self._process is None:
            return
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _family(self) -> list[int]:
        """Pids of sshd and of its connections, not of what they started."""
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            path = Path(f"/proc/{pid}/task/{pid}/children")
            with contextlib.suppress(OSError):  # a connection that ends meanwhile
                found += [int(c) for c in path.read_text().split() if _is_sshd(c)]
        return found

    def plugins(self) -> list[int]:
        """Pids of the plugins that work in this folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes()
                    here = os.fsencode(self.folder) in words
                    if here and b"offload.plugins.main" in words.split(b"\0"):
                        found.append(int(entry.name))
        return found

    @staticmethod
    def has_ended(pid: int) -> bool:
        """Whether nothing of it is left, its sockets included.

        A dying process has no command line any more while its sockets still accept;
        they are closed before it becomes a zombie.
        """
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] in "ZX"


def _is_sshd(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False


@pytest.fixture
def node():
    if not Path(SSHD).exists():
        pytest.skip("needs sshd (OpenSSH)")
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    node = LoginNode(folder)
    node.start()
    yield node
    node.stop()
    for pid in node.plugins():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def port():
    """A port for who has to know it before he listens there."""
    return free_port()


@pytest.fixture
def plugin_command():
    return f"{sys.executable} -m offload.plugins.main"
