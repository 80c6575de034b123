import os
import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from offload.snapshot import LocalStore, Snapshot, unpack

LINK = b"-> "


@pytest.fixture(scope="session")
def make():
    """Write files below a folder; ``b"-> target"`` is a link, None deletes."""

    def write(root: Path, contents: Mapping[bytes, bytes | None]) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            full = root / os.fsdecode(path)
            if full.is_dir() and not full.is_symlink():
                if content is None:
                    shutil.rmtree(full)
            elif content is None or full.is_symlink():
                full.unlink(missing_ok=True)
            if content is None:
                continue
            full.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith(LINK):
                full.symlink_to(os.fsdecode(content.removeprefix(LINK)))
            else:
                full.write_bytes(content)

    return write


@pytest.fixture(scope="session")
def restore():
    """Unpack a part of a snapshot, layer upon layer; return where it is."""

    def unpacked(
        snapshot: Snapshot, store: LocalStore, directory: Path, role: str = "code"
    ) -> Path:
        for layer in snapshot.part(role).layers:
            unpack(store.blob_path(layer), directory, digest=layer)
        return directory / role

    return unpacked


@pytest.fixture
def tree(make, tmp_path: Path) -> Path:
    """A folder with every kind of thing in it."""
    root = tmp_path / "project"
    make(
        root,
        {
            b"code.py": b"print(1)\n",
            b"empty": b"",
            b"folder/deep/data.bin": bytes(range(256)) * 300,
            b"folder/with space and \n newline": b"x",
            b"folder/b\xfftes": b"not UTF-8",
            b"link": b"-> code.py",
            b"n" * 120 + b"/" + b"m" * 200: b"a long path",
        },
    )
    (root / "nothing in it").mkdir(mode=0o750)
    (root / "code.py").chmod(0o755)
    return root


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def file_size_limit():
    """Let no file of this process grow: what a full disk does, for any user."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
