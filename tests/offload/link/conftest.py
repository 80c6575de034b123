"""Both ends of an SSH connection in one process; keys and folders are the test's own."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import asyncssh
import pytest

from offload.link.admission import AdmittedKey, EndpointSettings


@pytest.fixture
def short_path():
    """A folder whose sockets' paths are short enough (108 bytes, unix(7))."""
    path = Path(tempfile.mkdtemp(prefix="link-"))
    yield path
    shutil.rmtree(path)


class Keys:
    """Key pairs by name, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def private(self, name: str) -> Path:
        path = self._folder / name
        if not path.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment=name)
            key.write_private_key(str(path))
            path.chmod(0o600)
            key.write_public_key(f"{path}.pub")
        return path

    def public(self, name: str) -> str:
        self.private(name)
        return (self._folder / f"{name}.pub").read_text().strip()

    def trust(self, name: str, port: int, host: str = "127.0.0.1") -> Path:
        """Write a known_hosts file with that key."""
        path = self._folder / f"known_{name}_{port}"
        path.write_text(f"[{host}]:{port} {self.public(name)}\n")
        return path


@pytest.fixture
def keys(short_path):
    folder = short_path / "keys"
    folder.mkdir()
    return Keys(folder)


@pytest.fixture
def endpoint_settings(short_path, keys):
    def make(*entries: tuple, port: int = 0) -> EndpointSettings:
        return EndpointSettings(
            bind="127.0.0.1",
            port=port,
            host_key=keys.private("host"),
            directory=short_path / "sockets",
            multi_user=False,
            keys=tuple(
                AdmittedKey(site=site, person=person, key=keys.public(key), expires=day)
                for site, person, key, day in entries
            ),
        )

    return make


@pytest.fixture
async def plugin(short_path):
    """A stand-in for the plugin: answers what it is sent, in capitals."""
    path = short_path / "plugin.sock"

    async def answer(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    yield path
    server.close()


async def say(socket: Path, words: bytes) -> bytes:
    """Send a line to a unix socket and return the line that comes back."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(words + b"\n")
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    await writer.wait_closed()
    return line.strip()


@pytest.fixture(name="say")
def _say():
    return say


@pytest.fixture
def eventually():
    async def wait(condition, timeout_s=60.0):
        end = asyncio.get_running_loop().time() + timeout_s
        while not (found := condition()):
            if asyncio.get_running_loop().time() > end:
                pytest.fail("it never came true")
            await asyncio.sleep(0.01)
        return found

    return wait
