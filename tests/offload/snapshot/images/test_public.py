"""The public image holds what an index gives out, and no byte of anything else."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import py_compile
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload import zstd
from offload.snapshot import LocalStore, Request, freeze, verify
from offload.snapshot.images.image import read_image
from offload.snapshot.images.public import PublicImage, write_public_image

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SECRET = "k7Qz-planted-by-the-owner"
"""In the path of the environment, and wherever a test puts something private."""
DISTRIBUTIONS = 6


def hashed(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def wheel(number: int) -> dict[str, bytes]:
    return {
        f"dist{number}/__init__.py": f"answer = {number}\n".encode(),
        f"dist{number}/data/table.txt": b"public table %d\n" % number * 100,
        f"../../../share/dist{number}/extra.json": b'{"number": %d}' % number,
    }


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, installation) -> Path:
    """A home with an environment of public wheels, and a project beside it."""
    home = tmp_path_factory.mktemp(SECRET)
    made = installation(home / "env")
    for number in range(DISTRIBUTIONS):
        made.install(f"dist{number}", wheel(number))
    (home / "project").mkdir()
    (home / "project" / "run.py").write_text(f"# {SECRET}\n")
    return home


class Planting:
    """A copy of the environment, to put private things into."""

    def __init__(self, pristine: Path, home: Path) -> None:
        shutil.copytree(pristine, home, symlinks=True)
        self.home = home
        self.prefix = home / "env"
        self.site = self.prefix / f"lib/python{VERSION}/site-packages"
        self.record = ""

    def info(self, number: int) -> Path:
        return self.site / f"dist{number}-1.0.dist-info"

    def add_row(self, number: int, path: str, content: bytes) -> None:
        with (self.info(number) / "RECORD").open("a") as record:
            record.write(f"{path},{hashed(content)},{len(content)}\n")

    def rewrite(self, number: int, name: str, content: bytes) -> None:
        """Change a file and the record of it, as an installer of another kind would."""
        path = self.info(number) / name
        old = path.read_bytes() if path.exists() else b""
        path.write_bytes(content)
        record = self.info(number) / "RECORD"
        record.write_text(record.read_text().replace(hashed(old), hashed(content)))


Plant = Callable[[Planting, int], bool]
"""Returns whether the distribution stays public."""


def modified(env: Planting, number: int) -> bool:
    (env.site / f"dist{number}/__init__.py").write_text(f"token = '{SECRET}'\n")
    return False


def modified_in_place(env: Planting, number: int) -> bool:
    path = env.site / f"dist{number}/data/table.txt"
    content = path.read_bytes()
    path.write_bytes(SECRET.encode() + content[len(SECRET) :])
    return False


def added_to_the_package(env: Planting, number: int) -> bool:
    (env.site / f"dist{number}/{SECRET}").mkdir()
    (env.site / f"dist{number}/{SECRET}/notes.txt").write_text(SECRET)
    return True


def link_in_the_package(env: Planting, number: int) -> bool:
    path = env.site / f"dist{number}/__init__.py"
    path.rename(env.home / "real.py")
    path.symlink_to(env.home / "real.py")
    return False


def path_file(env: Planting, number: int) -> bool:
    folder = env.home / f"elsewhere{number}"
    folder.mkdir()
    (folder / f"mine{number}.py").write_text(f"# {SECRET}\n")
    (env.site / f"mine{number}.pth").write_text(f"{folder}\n# {SECRET}\n")
    return True


def direct_url(env: Planting, number: int) -> bool:
    url = {"url": f"https://example.org/{SECRET}/x.whl", "archive_info": {}}
    (env.info(number) / "direct_url.json").write_text(json.dumps(url))
    return False


def damaged_direct_url(env: Planting, number: int) -> bool:
    (env.info(number) / "direct_url.json").write_text(f"{{ {SECRET}")
    return False


def editable(env: Planting, number: int) -> bool:
    project = env.home / f"editable{number}"
    (project / f"mine{number}").mkdir(parents=True)
    (project / "pyproject.toml").write_text(f"# {SECRET}\n")
    (project / f"mine{number}" / "__init__.py").write_text(f"# {SECRET}\n")
    info = env.site / f"mine{number}-1.dist-info"
    info.mkdir()
    files = {
        f"{info.name}/METADATA": b"Name: mine\nVersion: 1\n\n",
        f"{info.name}/WHEEL": b"Tag: py3-none-any\n",
        f"{info.name}/INSTALLER": b"pip\n",
        f"{info.name}/direct_url.json": json.dumps(
            {"url": project.as_uri(), "dir_info": {"editable": True}}
        ).encode(),
        f"__editable__.mine{number}.pth": f"{project}\n".encode(),
    }
    rows = [f"{info.name}/RECORD,,\n"]
    for name, content in files.items():
        (env.site / name).write_bytes(content)
        rows.append(f"{name},{hashed(content)},{len(content)}\n")
    (info / "RECORD").write_text("".join(rows))
    return True


def script(env: Planting, number: int) -> bool:
    content = f"#!{env.prefix}/bin/python\n# {SECRET}\n".encode()
    (env.prefix / "bin" / f"run{number}").write_bytes(content)
    env.add_row(number, f"../../../bin/run{number}", content)
    return True


def settings_of_the_environment(env: Planting, _number: int) -> bool:
    with (env.prefix / "pyvenv.cfg").open("a") as file:
        file.write(f"prompt = {SECRET}\n")
    (env.prefix / "pip.conf").write_text(f"[global]\nindex-url = {SECRET}\n")
    return True


def bytecode(env: Planting, number: int) -> bool:
    # Holds the path of its source, with the name of the folder above.
    py_compile.compile(os.fspath(env.site / f"dist{number}/__init__.py"))
    return True


def recorded_bytecode(env: Planting, number: int) -> bool:
    name = f"dist{number}/other.pyc"
    (env.site / name).write_bytes(SECRET.encode())
    env.add_row(number, name, SECRET.encode())
    return True


def added_to_the_metadata(env: Planting, number: int) -> bool:
    (env.info(number) / "uv_cache.json").write_text(SECRET)
    env.add_row(number, f"{env.info(number).name}/uv_cache.json", SECRET.encode())
    (env.info(number) / "RECORD.mine").write_text(SECRET)
    return True


def never_published(env: Planting, number: int) -> bool:
    text = f"Name: x\nVersion: 1.0\nClassifier: Private :: Do Not Upload\n\n{SECRET}\n"
    env.rewrite(number, "METADATA", text.encode())
    return False


def built_here(env: Planting, number: int) -> bool:
    text = f"Generator: {SECRET}\nTag: cp3-cp3-linux_x86_64\n"
    env.rewrite(number, "WHEEL", text.encode())
    return False


def of_another_installer(env: Planting, number: int) -> bool:
    env.rewrite(number, "INSTALLER", f"{SECRET}\n".encode())
    return False


def local_version(env: Planting, number: int) -> bool:
    new = env.site / f"dist{number}-1.0+{SECRET.lower()}.dist-info"
    env.info(number).rename(new)
    record = new / "RECORD"
    old = env.info(number).name
    record.write_text(record.read_text().replace(old, new.name))
    return False


def closed_file(env: Planting, number: int) -> bool:
    added_to_the_package(env, number)
    (env.site / f"dist{number}/data/table.txt").chmod(0o600)
    return False


def closed_folder(env: Planting, number: int) -> bool:
    added_to_the_package(env, number)
    (env.site / f"dist{number}/data").chmod(0o700)
    return False


PLANTS: list[Plant] = [
    modified, modified_in_place, added_to_the_package, link_in_the_package, path_file,
    direct_url, damaged_direct_url, editable, script, settings_of_the_environment,
    bytecode, recorded_bytecode, added_to_the_metadata, never_published, built_here,
    of_another_installer, local_version, closed_file, closed_folder,
]  # fmt: skip


def everything(store: LocalStore, image: PublicImage) -> dict[str, bytes]:
    """Return each blob, as it is and decompressed."""
    found = {"manifest": image.manifest, "config": image.config}
    for layer in image.layers:
        raw = store.read(layer.digest)
        found[layer.digest] = raw
        found[f"{layer.digest}, decompressed"] = zstd.ZstdFile(io.BytesIO(raw)).read()
    return found


def paths(contents: dict[str, bytes]) -> set[str]:
    return {
        member.name
        for name, content in contents.items()
        if name.endswith("decompressed")
        for member in tarfile.open(fileobj=io.BytesIO(content))
    }


def public_of(home: Path, store: LocalStore) -> dict[str, bytes]:
    snapshot = freeze(Request(home / "project", prefix=home / "env"), store)
    assert verify(snapshot, store) == []
    image = write_public_image(store, snapshot.image)
    return {} if image is None else everything(store, image)


@pytest.fixture(autouse=True)
def nothing_of_this_process(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.sampled_from(PLANTS), st.integers(0, DISTRIBUTIONS - 1)),
        max_size=4,
        unique_by=lambda each: each[1],
    )
)
def test_nothing_private_is_ever_in_it(tmp_path_factory, pristine, plants):
    home = tmp_path_factory.mktemp("of") / SECRET
    env = Planting(pristine, home)
    stays = {number: plant(env, number) for plant, number in plants}
    store = LocalStore(tmp_path_factory.mktemp("store"))
    # The second time contents are known before they are read.
    for _ in range(2):
        contents = public_of(home, store)
        for name, content in contents.items():
            assert SECRET.encode() not in content.lower(), (name, plants)
            assert SECRET.lower().encode() not in content.lower(), (name, plants)
        members = paths(contents)
        for number in range(DISTRIBUTIONS):
            name = f"env/lib/python{VERSION}/site-packages/dist{number}/__init__.py"
            assert (name in members) == stays.get(number, True), (number, plants)
            extra = f"env/share/dist{number}/extra.json"
            assert (extra in members) == stays.get(number, True), (number, plants)
    shutil.rmtree(home)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_each_of_them_is_planted(tmp_path, pristine, plant):
    """The search would find it: what is private does travel, in other layers."""
    home = tmp_path / SECRET
    env = Planting(pristine, home)
    plant(env, 0)
    store = LocalStore(tmp_path / "store")
    snapshot = freeze(Request(home / "project", prefix=home / "env"), store)
    image = read_image(store, snapshot.image)
    private = [each for each in image.layers if not each.is_public]
    found = [
        zstd.ZstdFile(io.BytesIO(store.read(each.digest))).read().lower()
        for each in private
    ]
    assert any(SECRET.lower().encode() in content for content in found)


def test_the_same_distributions_make_the_same_image(tmp_path, pristine):
    digests = []
    for number, name in enumerate(("anna", "bert")):
        home = tmp_path / name / "home"
        env = Planting(pristine, home)
        (home / "project" / f"only of {name}.py").write_text(name)
        path_file(env, number)
        script(env, number)
        store = LocalStore(tmp_path / name / "store")
        snapshot = freeze(Request(home / "project", prefix=home / "env"), store)
        image = write_public_image(store, snapshot.image)
        assert image is not None
        digests.append(image.digest)
        assert all(store.has(blob.digest) for blob in image.blobs)
    assert digests[0] == digests[1]


def test_what_becomes_private_leaves_the_layer_that_others_share(tmp_path, pristine):
    env = Planting(pristine, tmp_path / "home")
    store = LocalStore(tmp_path / "store")
    before = paths(public_of(env.home, store))
    modified(env, 2)
    after = paths(public_of(env.home, store))
    lost = {path for path in before - after if "." in path.rpartition("/")[2]}
    assert lost
    assert all("dist2" in path for path in lost)


def test_code_alone_has_no_public_image(tmp_path, pristine):
    store = LocalStore(tmp_path / "store")
    snapshot = freeze(Request(pristine / "project"), store)
    assert write_public_image(store, snapshot.image) is None
