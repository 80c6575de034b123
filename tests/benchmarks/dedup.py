"""What twenty environments that differ in five packages take, beside what is in them.

``python tests/benchmarks/dedup.py [--environments 20] [--changed 0.6] [--folder PLACE]``
``python tests/benchmarks/dedup.py --releases``

Copies of installed packages become environments; in each, five packages are a release of
their own: all compiled libraries differ from every other release, and of the other bytes
the share ``--changed`` (0.6 is what releases half a year apart of the same five differ
in). With ``--releases`` they are real ones, from the package index, each environment with
its own choice of them (``releases.py``).

All are frozen into one store, their public images published into one repository, each
with a bundle of what an import reads, and all images and bundles brought into one site's
cache. Beside each stands the union: every distinct content once,

- *store*: packed by the same packer, into layers of its usual size;
- *repository*: as the objects that hold it;
- *site*: as a file of its own on the same file system.

Both sides are counted in blocks of the disk; the left one is all that lies in the folder:
indexes, records, bundles, trees' folders. Real releases differ little: then what each tree
takes beside its contents weighs most, a block for each folder on ext4, 2,000 of them in an
environment. Beside, the same site with all layers instead of the images' trees: jobs that
a plugin runs have those.

Exit codes: 0 every bar is kept, 1 one is not.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import csv
import hashlib
import io
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from environments import closure
from machine import machine
from measurement import NOT_JUDGED, Bar, Measurement
from releases import RELEASES, make_environments_of_releases
from report import report

from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.names import ObjectName
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.bundles import publish_bundle
from offload.cache.publishing.images import Image, read_manifest
from offload.cache.publishing.references import flat_path
from offload.cache.publishing.shelf import Shelf, put_image
from offload.cache.publishing.trees import LayerTree
from offload.cache.reading.bundles import Use
from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.settings import RepositorySettings
from offload.cache.reading.traces import Trace
from offload.snapshot.freezing import freeze
from offload.snapshot.images.image import architecture_name, read_image
from offload.snapshot.images.manifests import read_trees
from offload.snapshot.images.public import PublicImage, write_public_image
from offload.snapshot.model import Request
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Kind
from tests.engines.sitecache.engines import Origin

FQRN = "environments.example.org"
PACKAGES = ("numpy", "pandas", "scipy", "matplotlib", "awkward", "uproot", "iminuit")
PACKAGES += ("hist", "fsspec")
OWN = ("pandas", "matplotlib", "awkward", "uproot", "iminuit")
IMPORTS = "import numpy, pandas, awkward, uproot, iminuit, matplotlib.pyplot"
BAR = Bar(1.3)
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--environments", type=int, default=20)
    parser.add_argument("--changed", type=float, default=0.6)
    parser.add_argument("--releases", action="store_true", help="real, from the index")
    parser.add_argument("--folder", type=Path, help="where; default: TMPDIR")
    arguments = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base = Path(folder)
        if arguments.releases:
            prefixes = make_environments_of_releases(base, arguments.environments)
            changed = f"releases of {', '.join(RELEASES)}"
        else:
            prefixes = make_environments(
                base, arguments.environments, arguments.changed
            )
            changed = f"{len(OWN)} packages of each its own"
        rows = measure(base, prefixes)
    title = f"{len(prefixes)} environments, {changed}"
    return report(rows, about, title)


def make_environments(base: Path, number: int, changed: float) -> list[Path]:
    """Install the packages once; the others share its files, but for releases."""
    chance = random.Random(1)
    first = base / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", first], check=True)
    for distribution in closure(PACKAGES):
        for file in distribution.files or ():
            source = Path(distribution.locate_file(file))
            if ".." in file.parts or file.suffix == ".pyc" or not source.is_file():
                continue
            target = first / SITE / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    prefixes = []
    for release in range(number):
        prefix = base / f"environment{release}"
        subprocess.run(["cp", "-al", first, prefix], check=True)
        for name in OWN:
            change(prefix / SITE, name, release, changed, chance)
        prefixes.append(prefix)
    return prefixes


def change(
    site: Path, name: str, release: int, share: float, chance: random.Random
) -> None:
    """Turn an installed package into another release of it."""
    (old,) = site.glob(f"{name}-*.dist-info")
    info = old.with_name(f"{old.name.removesuffix('.dist-info')}.{release}.dist-info")
    old.rename(info)
    rows = list(csv.reader((info / "RECORD").read_text().splitlines()))
    written = io.StringIO()
    for path, recorded, size in rows:
        here = path.replace(old.name, info.name)
        place = site / here
        row = (here, recorded, size)
        is_new = ".so" in place.name or chance.random() < share
        if recorded and place.is_file() and is_new:
            content = place.read_bytes() + b"\n# release %d\n" % release
            place.unlink()  # the others keep theirs
            place.write_bytes(content)
            row = (here, hashed(content), str(len(content)))
        csv.writer(written, lineterminator="\n").writerow(row)
    (info / "RECORD").unlink()
    (info / "RECORD").write_text(written.getvalue())


def hashed(content: bytes) -> str:
    """Return a digest as ``RECORD`` has it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def measure(base: Path, prefixes: list[Path]) -> list[Measurement]:
    store, images, union = frozen(base, prefixes)
    repository = published(base, store, images, prefixes[0])
    rows = [Measurement("store", "MB", BAR, "union")]
    rows[0].add(True, taken(store.path) / 1e6)
    rows[0].add(False, union / 1e6)
    objects, contents = distinct(repository)
    rows.append(Measurement("repository", "MB", BAR, "union"))
    rows[1].add(True, taken(repository.public.parent) / 1e6)
    rows[1].add(False, objects / 1e6)
    rows.append(Measurement("site's cache", "MB", BAR, "union"))
    rows[2].add(True, cached(base, repository, partial(bring_images, images)) / 1e6)
    rows[2].add(False, contents / 1e6)
    rows.append(Measurement("the same, of layers", "MB", NOT_JUDGED, "union"))
    rows[3].add(True, cached(base, repository, partial(bring_layers, images)) / 1e6)
    rows[3].add(False, contents / 1e6)
    return rows


def frozen(
    base: Path, prefixes: list[Path]
) -> tuple[LocalStore, list[PublicImage], int]:
    """Freeze all; return the store, public images, and what the union takes, in bytes."""
    code = base / "code"
    code.mkdir()
    (code / "analysis.py").write_text("print('analysis')\n")
    store = LocalStore(base / "store")
    images = []
    union = base / "union"
    union.mkdir()
    seen: set[str] = set()
    for prefix in prefixes:
        snapshot = freeze(Request(code, prefix), store)
        public = write_public_image(store, snapshot.image)
        assert public is not None
        images.append(public)
        mounts = {part.role: Path(part.mount) for part in snapshot.parts}
        trees = read_trees(store, read_image(store, snapshot.image))
        for role, tree in trees.items():
            for entry in tree.entries:
                if entry.kind is Kind.FILE and entry.sha256 not in seen:
                    # By number: in the order that they were packed in.
                    os.link(
                        mounts[role] / os.fsdecode(entry.path),
                        union / f"{len(seen):06}",
                    )
                    seen.add(entry.sha256)
    other = LocalStore(base / "union-store")
    before = taken(other.path)
    freeze(Request(code, None, (union,)), other)
    return store, images, taken(other.path) - before


def published(
    base: Path, store: LocalStore, images: list[PublicImage], prefix: Path
) -> Repository:
    """Publish images as the publisher does, each with what an import reads."""
    keys = Keys.generate(FQRN, datetime.now(UTC))
    (base / "master.pub").write_bytes(keys.master.public)
    repository = Repository(base / "repository", FQRN, keys).create()
    architecture = architecture_name(platform.machine())
    shelf = Shelf(repository, architecture)
    paths = imported(prefix)
    for public in images:
        image = read_manifest(public.manifest, architecture)
        assert isinstance(image, Image)
        layers = {
            blob.digest: LayerTree(partial(store.open, blob.digest), "", base)
            for blob in image.layers
            if not shelf.has_layer(blob.digest)
        }
        with repository.transaction() as transaction:
            put_image(transaction, image, layers, shelf.implied)
            transaction.commit()
        trace = Trace()
        top = b"/" + flat_path(image.digest)
        for path, row in repository.namespace().walk(top):
            if path.removeprefix(top) in paths:
                for name in row.objects():
                    trace.note(Use(name, row.mode, row.mtime), row.size)
        assert len(trace) > 300
        publish_bundle(shelf, image.digest, trace)
    return repository


def imported(prefix: Path) -> set[bytes]:
    """Return the files that an import opens, as images have them."""
    program = f"{IMPORTS}\nimport sys\nfor m in list(sys.modules.values()):\n"
    program += "    if getattr(m, '__file__', None): print(m.__file__)"
    command = [prefix / "bin/python", "-I", "-B", "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    top = f"{prefix}/"
    return {
        b"/env/" + os.fsencode(line.removeprefix(top))
        for line in done.stdout.splitlines()
        if line.startswith(top)
    }


def distinct(repository: Repository) -> tuple[int, int]:
    """Return what all contents of all images take once: as objects, and as files."""
    objects: dict[ObjectName, int] = {}
    files: dict[tuple[ObjectName, ...], int] = {}
    block = os.statvfs(repository.public).f_frsize
    for path, row in repository.namespace().walk(b"/.flat"):
        if row.kind is Kind.FILE:
            assert path
            files[tuple(row.objects())] = -(-row.size // block) * block
            for name in row.objects():
                place = repository.public / name.path
                objects[name] = place.stat().st_blocks * 512
    return sum(objects.values()), sum(files.values())


def bring_images(images: list[PublicImage], cache: RepositoryCache) -> None:
    """Bring each image's tree, and what an import reads."""
    for public in images:
        assert cache.image(public.digest) is not None
        assert cache.bundle(public.digest) is not None


def bring_layers(images: list[PublicImage], cache: RepositoryCache) -> None:
    """Bring all layers, as for jobs that are sent the rest."""
    architecture = architecture_name(platform.machine())
    for public in images:
        image = read_manifest(public.manifest, architecture)
        assert isinstance(image, Image)
        for layer in image.layers:
            assert cache.layer(layer.digest) is not None


def cached(
    base: Path, repository: Repository, bring: Callable[[RepositoryCache], None]
) -> int:
    """Bring something into a site's cold cache; return the bytes that it takes."""
    with contextlib.ExitStack() as stack:
        origin = Origin(repository.public)
        stack.callback(origin.close)
        settings = RepositorySettings(
            fqrn=FQRN, urls=(origin.url,), master_keys=(base / "master.pub",)
        )
        place = Path(tempfile.mkdtemp(prefix="site", dir=base))
        bring(stack.enter_context(RepositoryCache(place, settings)))
        return taken(place)


def taken(folder: Path) -> int:
    """Return the bytes on the disk of all that is in a folder, links once."""
    seen: dict[tuple[int, int], int] = {}
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


if __name__ == "__main__":
    sys.exit(main())
