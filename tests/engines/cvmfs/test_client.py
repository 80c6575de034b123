"""What is published is what an independent client shows: its words count, not ours."""

import errno
import importlib.metadata
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from offload.cache.cvmfs.items import Item, read_folder
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.objects import CHUNK_BYTES
from offload.cache.cvmfs.repository import Repository, Settings
from offload.snapshot.tree import Kind

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]  # it may build the client

FQRN = "environments.example.org"
IMPORT = "import numpy, pandas; print(numpy.arange(3).sum(), pandas.__file__)"
PACKAGES = ["numpy", "pandas", "python-dateutil", "six"]


def create(folder: Path, **settings) -> Repository:
    keys = Keys.generate(FQRN, datetime.now(UTC))
    return Repository(folder, FQRN, keys, Settings(**settings)).create()


def environment() -> dict[str, list[Item]]:
    """A virtual environment like the one of this test, layer by layer."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = f"env/lib/{version}/site-packages"
    base = Path(sys._base_executable)
    config = f"home = {base.parent}\ninclude-system-site-packages = false\n".encode()
    layers = {
        "base": [
            Item(b"env/bin/python", Kind.LINK, 0o777, target=os.fsencode(base)),
            Item(b"env/bin/python3", Kind.LINK, 0o777, target=b"python"),
            Item(b"env/pyvenv.cfg", Kind.FILE, 0o644, len(config), content=config),
            Item(b"env/lib64", Kind.LINK, 0o777, target=b"lib"),
            Item(site.encode(), Kind.FOLDER, 0o755),
        ]
    }
    for package in PACKAGES:
        layers[package] = [
            Item(
                os.fsencode(f"{site}/{path}"),
                Kind.FILE,
                place.stat().st_mode,
                place.stat().st_size,
                int(place.stat().st_mtime),
                content=Path(place),
            )
            for path in importlib.metadata.distribution(package).files
            if ".." not in path.parts and "__pycache__" not in path.parts
            for place in [path.locate()]
        ]
    return layers


def publish(repository: Repository, layers: dict[str, list[Item]]) -> bytes:
    with repository.transaction() as transaction:
        sources = []
        for number, items in enumerate(layers.values()):
            sources.append(b"/.layers/%02x/%064x/layerfs" % (number, number))
            transaction.put_tree(sources[-1], items)
        image = b"/.flat/ab/ab" + b"0" * 62
        transaction.merge(image, sources)
        transaction.symlink(
            b"/images/registry.example.org/environment:1", b"../.." + image
        )
        transaction.commit("environment")
    return image


def test_an_environment_runs_from_its_flat_tree(mounted, tmp_path):
    repository = create(tmp_path / "repository")
    layers = environment()
    image = publish(repository, layers)
    point, origin = mounted(repository.public)
    for place in (image[1:].decode(), "images/registry.example.org/environment:1"):
        # By way of env: what is started directly is looked up while this process, and
        # so the origin in it, stands still.
        done = subprocess.run(
            ["env", point / place / "env/bin/python", "-I", "-B", "-c", IMPORT],
            capture_output=True,
            text=True,
            check=True,
        )
        total, file = done.stdout.split()
        assert total == "3"
        assert file.startswith(str(point))
    # What it read came through the proxy, and only that: each object once.
    assert set(origin.objects().values()) == {1}
    files = sum(item.kind is Kind.FILE for items in layers.values() for item in items)
    assert 100 < len(origin.objects()) < files / 2


def test_every_file_mode_and_link_is_equal(mounted, tmp_path):
    source = tmp_path / "source"
    (source / "folder" / "deep").mkdir(parents=True)
    (source / "folder").chmod(0o751)
    (source / "empty").touch()
    (source / "größe und leer").write_text("ü")
    (source / "large").write_bytes(os.urandom(100_000) * 130)  # in four chunks
    (source / "folder" / "exact").write_bytes(os.urandom(1 << 20) * 4)
    for mode in (0o400, 0o444, 0o555, 0o600, 0o644, 0o664, 0o755):
        path = source / "folder" / "deep" / f"{mode:o}"
        path.write_bytes(os.urandom(mode))
        path.chmod(mode)
    (source / "link").symlink_to("folder/deep/644")
    (source / "dangling").symlink_to("/nowhere/at all")
    for number in range(700):
        path = source / "many" / f"{number % 7}" / f"{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"number = {number}\n")
    # Small catalogues: the client goes through several of them.
    repository = create(tmp_path / "repository", most_rows=200)
    with repository.transaction() as transaction:
        transaction.put_tree(b"/trees/one", read_folder(source))
        transaction.commit()
    point, _ = mounted(repository.public)
    assert len(repository.namespace().catalogue_of(b"/trees/one/many").nested()) > 1
    assert listed(point / "trees" / "one") == listed(source)


def read(path: Path, patience_s: float = 120.0) -> bytes:
    """Read a file; one in chunks again if need be, until it comes without an error.

    The client reads the next chunks of a file ahead, and answers with an error who comes
    to one that it is still writing to its cache. It does so for files in chunks only, and
    ends with it: what cannot be read, or is not what was published, stays so.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return path.read_bytes()
        except OSError as error:
            is_in_chunks = path.stat().st_size > CHUNK_BYTES
            if error.errno != errno.EIO or not is_in_chunks or time.monotonic() > until:
                raise
            time.sleep(0.25)


def listed(folder: Path) -> dict[str, tuple]:
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        name = os.fspath(path.relative_to(folder))
        if path.is_symlink():
            found[name] = "link", path.readlink()
        elif path.is_dir():
            found[name] = "folder", stat.S_IMODE(status.st_mode)
        else:
            mode = stat.S_IMODE(status.st_mode)
            mtime = int(status.st_mtime)
            found[name] = "file", mode, status.st_size, mtime, read(path)
    return found


def test_later_revisions_are_seen_and_old_ones_turned_back_to(mounted, tmp_path):
    repository = create(tmp_path / "repository")
    for number in range(3):
        with repository.transaction() as transaction:
            data = b"%d" % number
            transaction.put(b"/f", Item(b"", Kind.FILE, 0o644, 1, content=data))
            transaction.commit(f"tag-{number}")
        point, _ = mounted(repository.public)
        assert (point / "f").read_bytes() == b"%d" % number
        assert os.getxattr(point, "user.revision") == b"%d" % (number + 2)
    repository.rollback("tag-0")
    point, _ = mounted(repository.public)
    assert (point / "f").read_bytes() == b"0"
    assert os.getxattr(point, "user.fqrn").decode() == FQRN


def test_a_forged_manifest_is_not_mounted(mounted, tmp_path):
    """That the client checks: else the other tests would show less."""
    repository = create(tmp_path / "repository")
    manifest = repository.public / ".cvmfspublished"
    data = manifest.read_bytes()
    manifest.write_bytes(data[:-5] + bytes(5))
    with pytest.raises(AssertionError, match="InvalidRootFileSignature"):
        mounted(repository.public)


def test_what_is_damaged_is_not_read_in_spite_of_all(mounted, tmp_path):
    """That reading again hides nothing: else an equal tree would show less."""
    repository = create(tmp_path / "repository")
    content = os.urandom(5 << 20)
    with repository.transaction() as transaction:
        item = Item(b"", Kind.FILE, 0o644, len(content), content=content)
        transaction.put(b"/large", item)
        transaction.commit()
    *_, last = repository.namespace().lookup(b"/large").objects()
    (repository.public / last.path).write_bytes(b"another's")
    point, _ = mounted(repository.public)
    with pytest.raises(OSError, match="Input/output"):
        read(point / "large", patience_s=3)
