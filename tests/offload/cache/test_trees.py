# Names are bytes of any kind.
# ruff: noqa: PTH115, PTH118, PTH123
import json
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload.cache import CacheError, DamagedTreeError, MissingBlobsError, SiteCache
from offload.cache.removal import remove_tree
from offload.snapshot import DamagedError, Entry, Kind, Snapshot, Tree
from offload.snapshot.bytecode import unchecked


def describe(folder) -> Tree:
    """Return the manifest of what is in a folder, read anew."""
    import hashlib

    entries = []
    for top, folders, files in os.walk(os.fsencode(folder)):
        for name in [*folders, *files]:
            path = os.path.join(top, name)
            found = os.lstat(path)
            short = os.path.relpath(path, os.fsencode(folder))
            if stat.S_ISLNK(found.st_mode):
                entry = Entry(short, Kind.LINK, 0o777, target=os.readlink(path))
            elif stat.S_ISDIR(found.st_mode):
                entry = Entry(short, Kind.FOLDER, found.st_mode & 0o777)
            else:
                with open(path, "rb") as opened:
                    data = opened.read()
                entry = Entry(
                    short,
                    Kind.FILE,
                    found.st_mode & 0o777,
                    len(data),
                    hashlib.sha256(data).hexdigest(),
                )
            entries.append(entry)
    return Tree.of(entries)


def test_a_snapshot_becomes_the_tree_that_was_frozen(home, cache, tree_of):
    snapshot = home.simple(
        home.file(b"train.py", b"print(1)"),
        home.folder(b"bin"),
        home.file(b"bin/run.sh", b"#!/bin/sh\n", 0o755),
        home.link(b"latest", b"bin/run.sh"),
        home.link(b"out", b"/nowhere"),
        home.folder(b"empty"),
        home.file(b"caf\xe9\n", b"", 0o600),
    )
    home.send(snapshot, cache)
    assert cache.ensure_image(snapshot.image) == snapshot
    assert describe(tree_of(snapshot)).digest == snapshot.part("code").tree


def test_later_layers_replace_and_delete(home, cache, tree_of):
    first = home.layer("code", [home.file(b"a", b"1"), home.file(b"b", b"1")])
    delta = home.layer("code", [home.file(b"a", b"22")], removed=[b"b"])
    snapshot = home.snapshot(code=([first, delta], [home.file(b"a", b"22")]))
    home.send(snapshot, cache)
    cache.ensure_image(snapshot.image)
    assert (tree_of(snapshot) / "a").read_bytes() == b"22"
    assert not (tree_of(snapshot) / "b").exists()


def test_a_file_becomes_a_folder_and_back(home, cache, tree_of):
    one = home.layer("code", [home.file(b"x", b"1"), home.file(b"y/z", b"1")])
    two = home.layer(
        "code", [home.file(b"x/in", b"2"), home.file(b"y", b"2")], removed=[b"x", b"y"]
    )
    members = [home.folder(b"x"), home.file(b"x/in", b"2"), home.file(b"y", b"2")]
    snapshot = home.snapshot(code=([one, two], members))
    home.send(snapshot, cache)
    cache.ensure_image(snapshot.image)
    assert describe(tree_of(snapshot)).digest == snapshot.part("code").tree


def test_a_layer_is_sent_and_unpacked_once_for_all_snapshots(home, cache, work):
    members = [home.file(b"lib.py", b"x" * 5000)]
    env = home.layer("env", members)
    snapshots = []
    for number in range(5):
        code = [home.file(b"train.py", f"n = {number}".encode())]
        snapshots.append(
            home.snapshot(env=([env], members), code=([home.layer("code", code)], code))
        )
    for snapshot in snapshots:
        home.send(snapshot, cache)
        cache.ensure_image(snapshot.image)
    trees = {snapshot.part("env").tree for snapshot in snapshots}
    assert len(trees) == 1
    layer = work / "layers" / env.digest.removeprefix("sha256:") / "env" / "lib.py"
    tree = work / "trees" / trees.pop().removeprefix("sha256:") / "lib.py"
    assert layer.stat().st_ino == tree.stat().st_ino
    assert layer.stat().st_nlink == 2
    assert [m for s in snapshots for m in cache.missing(home.blobs(s))] == []


def test_folders_that_nobody_can_write_to(home, cache, tree_of, work):
    members = [home.folder(b"closed", 0o555), home.file(b"closed/x", b"1", 0o444)]
    snapshot = home.simple(*members)
    home.send(snapshot, cache)
    cache.ensure_image(snapshot.image)
    assert (tree_of(snapshot) / "closed").stat().st_mode & 0o777 == 0o555
    remove_tree(work / "trees")
    assert not (work / "trees").exists()


def test_bits_that_two_snapshots_give_a_file_differ(home, cache, tree_of):
    layer = home.layer("code", [home.file(b"x", b"1", 0o644)])
    one = home.snapshot(code=([layer], [home.file(b"x", b"1", 0o644)]))
    two = home.snapshot(code=([layer], [home.file(b"x", b"1", 0o755)]))
    for snapshot in (one, two):
        home.send(snapshot, cache)
        cache.ensure_image(snapshot.image)
    assert (tree_of(one) / "x").stat().st_mode & 0o777 == 0o644
    assert (tree_of(two) / "x").stat().st_mode & 0o777 == 0o755


def test_without_its_blobs_a_snapshot_names_what_lacks(home, cache):
    snapshot = home.simple(home.file(b"x", b"1"))
    with pytest.raises(MissingBlobsError) as caught:
        cache.ensure_image(snapshot.image)
    assert caught.value.missing == (snapshot.image,)
    manifest, *rest = home.blobs(snapshot)
    incoming = cache.incoming(manifest.digest, manifest.size)
    incoming.append(0, home.store.read(manifest.digest))
    incoming.commit()
    assert set(cache.missing_of(snapshot.image)) == {b.digest for b in rest}


def test_a_manifest_that_its_layers_do_not_keep_is_refused(home, cache, work):
    layer = home.layer("code", [home.file(b"x", b"1")])
    snapshot = home.snapshot(
        code=([layer], [home.file(b"x", b"1"), home.file(b"y", b"1")])
    )
    home.send(snapshot, cache)
    with pytest.raises(DamagedTreeError, match="'y'"):
        cache.ensure_image(snapshot.image)
    assert not cache.is_ready(snapshot.image)
    assert list((work / "trees").iterdir()) == []


def test_a_layer_that_is_none_is_refused(home, cache, work):
    snapshot = home.simple(home.file(b"x", b"1"))
    home.send(snapshot, cache)
    layer = snapshot.part("code").layers[0]
    cache.store.blob_path(layer).write_bytes(b"no layer")
    with pytest.raises(CacheError):
        cache.ensure_image(snapshot.image)
    assert [p.name for p in (work / "layers").iterdir()] == []


def test_byte_code_lies_over_its_sources_and_is_believed(home, cache, work, tmp_path):
    source = tmp_path / "mod.py"
    source.write_text("value = 'compiled'\n")
    code = Path(py_compile.compile(str(source), dfile="mod.py"))
    path = f"__pycache__/{code.name}".encode()
    sources = [home.file(b"mod.py", b"value = 'read'\n"), home.file(b"data", b"")]
    compiled = [
        home.folder(b"__pycache__"),
        home.file(path, unchecked(code.read_bytes())),
    ]
    parts = {
        "env": ([home.layer("env", sources)], sources),
        "bytecode/env": ([home.layer("bytecode/env", compiled)], compiled),
    }
    snapshot = home.snapshot(**parts)
    home.send(snapshot, cache)
    cache.ensure_image(snapshot.image)
    hex_ = snapshot.image.removeprefix("sha256:")
    document = json.loads((work / f"images/{hex_}.json").read_text())
    (part,) = document["parts"]
    assert part["role"] == "env"
    tree = work / "trees" / part["tree"]
    assert describe(tree) == Tree.of(entry for entry, _ in [*sources, *compiled])
    done = subprocess.run(
        [sys.executable, "-B", "-c", "import mod; print(mod.value)"],
        cwd=tree, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "compiled\n"


def test_a_tree_is_there_whole_or_not_at_all(home, cache, tree_of, monkeypatch):
    snapshot = home.simple(*(home.file(b"%d" % n, b"x") for n in range(20)))
    home.send(snapshot, cache)
    link, calls = os.link, []

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 10:
            raise KeyboardInterrupt
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", failing)
    with pytest.raises(KeyboardInterrupt):
        cache.ensure_image(snapshot.image)
    assert not tree_of(snapshot).exists()
    cache.ensure_image(snapshot.image)
    assert describe(tree_of(snapshot)).digest == snapshot.part("code").tree


def test_where_nothing_can_be_linked_it_is_copied(home, cache, tree_of, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(1, "no links here")

    snapshot = home.simple(home.file(b"x", b"1", 0o750))
    home.send(snapshot, cache)
    monkeypatch.setattr(os, "link", refuse)
    cache.ensure_image(snapshot.image)
    assert (tree_of(snapshot) / "x").stat().st_nlink == 1
    assert (tree_of(snapshot) / "x").stat().st_mode & 0o777 == 0o750


names = st.binary(min_size=1, max_size=12).filter(
    lambda n: (
        not {b"/", b"\0"} & {n[i : i + 1] for i in range(len(n))}
        and n not in {b".", b".."}
        and not n.startswith(b".wh.")
    )
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(names, st.binary(max_size=50), max_size=8),
    st.dictionaries(names, st.binary(max_size=50), max_size=8),
)
def test_any_two_layers_make_their_tree(home, work, below, above):
    layers = [
        home.layer("code", [home.file(n, c) for n, c in sorted(side.items())])
        for side in (below, above)
    ]
    members = [home.file(n, c) for n, c in {**below, **above}.items()]
    snapshot = home.snapshot(code=(layers, members))
    site = work / "any"
    cache = SiteCache(site)
    home.send(snapshot, cache)
    cache.ensure_image(snapshot.image)
    tree = snapshot.part("code").tree
    assert describe(site / "trees" / tree.removeprefix("sha256:")).digest == tree
    shutil.rmtree(site)


def test_an_eager_cache_is_ready_before_anybody_needs_it(home, work):
    cache = SiteCache(work, is_eager=True)
    layers = [home.layer("code", [home.file(b"%d" % n, b"x")]) for n in range(4)]
    members = [home.file(b"%d" % n, b"x") for n in range(4)]
    snapshot = home.snapshot(code=(layers, members))
    home.send(snapshot, cache)
    deadline = time.monotonic() + 20
    while not all(cache.layers.has(layer.digest) for layer in layers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert cache.missing_of(snapshot.image) == ()
    while not cache.is_ready(snapshot.image):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_fails_ahead_of_time_is_said_when_it_is_needed(home, work):
    cache = SiteCache(work, is_eager=True)
    layer = home.layer("code", [])
    snapshot = home.snapshot(code=([layer], [home.file(b"y", b"1")]))
    home.send(snapshot, cache)
    assert cache.missing_of(snapshot.image) == ()
    with pytest.raises(DamagedTreeError):
        cache.ensure_image(snapshot.image)


def test_no_manifest_leads_out_of_its_tree(home, cache, tmp_path):
    """Neither by its names nor through a link that it lists before."""
    outside = tmp_path / "outside"
    outside.mkdir()
    real = (home.folder(b"a"), home.file(b"a/x", b"evil"))
    layer = home.layer("code", real)
    through = (home.link(b"a", os.fsencode(outside)), real[1])
    away = (home.link(os.fsencode(outside / "x"), b"y"),)
    above = (home.link(b"../../../outside/x", b"y"),)
    for members in (through, away, above):
        snapshot = home.snapshot(code=([layer], members))
        home.send(snapshot, cache)
        with pytest.raises(CacheError):
            cache.ensure_image(snapshot.image)
        assert not [*outside.iterdir()]


@pytest.mark.parametrize(
    "change",
    [
        {"tree": "/etc"},
        {"tree": "sha256:../../x"},
        {"layers": ("../x",)},
        {"role": "../../x"},
        {"role": "/etc"},
        {"file": "../x"},
        {"mount": "/a/../etc"},
    ],
)
def test_no_record_of_a_snapshot_names_other_files(home, change):
    snapshot = home.simple(home.file(b"x", b"y"))
    part = replace(snapshot.parts[0], **change)
    with pytest.raises(DamagedError, match="leads out"):
        Snapshot.from_json(replace(snapshot, parts=(part,)).to_json())
