"""Modes that keep even the owner out: an ordinary user's site has such images whole."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

MODES = (0o000, 0o111, 0o200, 0o044, 0o400, 0o555)

JOB = """
import json, stat, sys
from pathlib import Path
from offload.cache.reading import RepositoryCache, RepositorySettings
settings = RepositorySettings.model_validate(json.loads(sys.argv[2]))
with RepositoryCache(Path(sys.argv[1]), settings) as cache:
    tree = cache.image(sys.argv[3])
    assert cache.image(sys.argv[3]) == tree
    assert cache.verify() == 0
    copy = Path(sys.argv[1]) / "copy"
    cache.materialise(f"/.flat/{sys.argv[3][7:9]}/{sys.argv[3][7:]}", copy)
    for top in (tree, copy):
        for path in sorted(top.rglob("*")):
            path.stat().st_mode & stat.S_IRUSR or print("closed", path.name)
with RepositoryCache(
    Path(sys.argv[1]), settings.model_copy(update={"quota_bytes": 0})
) as cache:
    cache.collect()
    print(*cache.trees(), *Path(cache.folder, "trash").iterdir(), sep="")
"""

# root without what lets it pass over modes is a user like others.
AS_A_USER = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)


@pytest.fixture
def image(publisher):
    publisher.publish(
        odd=[
            publisher.folder(b""),
            *(publisher.file(b"%o" % mode, b"%o" % mode * 9, mode) for mode in MODES),
            publisher.file(b"empty", b"", 0o000),
            publisher.file(b"large", publisher.large, 0o000),
            publisher.file(b"twin", b"0" * 9, 0o644),
            publisher.folder(b"closed", 0o000),
            publisher.file(b"closed/one", b"1", 0o000),
        ]
    )
    return publisher.digest("odd")


def test_a_user_makes_checks_copies_and_removes_it(tmp_path, settings, image):
    document = json.dumps(settings.model_dump(mode="json"))
    done = subprocess.run(
        [*AS_A_USER, sys.executable, "-c", JOB, tmp_path / "site", document, image],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    *closed, left = done.stdout.split("\n")[:-1]
    names = ["0", "111", "200", "44", "empty", "large", "one"]
    assert Counter(closed) == {f"closed {name}": 2 for name in names}
    assert left == ""


def test_the_tree_has_the_modes_and_the_store_can_be_read(cache, image):
    tree = cache.image(image)
    for mode in MODES:
        assert (tree / f"{mode:o}").stat().st_mode & 0o777 == mode
    # But folders can be listed, or nobody could check what is in them.
    assert (tree / "closed").stat().st_mode & 0o777 == 0o500
    stored = [p for p in (cache.folder / "content").rglob("*") if p.is_file()]
    assert all(path.stat().st_mode & 0o400 for path in stored)
    # What can be read is linked, what cannot is a copy.
    links = {name: (tree / name).stat().st_nlink for name in ("0", "44", "400", "555")}
    assert links == {"0": 1, "44": 1, "400": 2, "555": 2}


def test_what_cannot_be_read_is_mended_all_the_same(cache, image):
    tree = cache.image(image)
    (tree / "0").chmod(0o600)
    (tree / "0").write_bytes(b"!")
    (tree / "0").chmod(0o000)
    (tree / "closed").chmod(0o700)
    (tree / "closed/one").unlink()
    cache.image(image)
    assert (tree / "0").stat().st_size == 9
    assert (tree / "0").stat().st_mode & 0o777 == 0
    assert (tree / "closed/one").stat().st_size == 1
