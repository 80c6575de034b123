"""Identity depends on what is in a folder, and on nothing else."""

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from offload.snapshot import (
    Entry,
    Kind,
    LocalStore,
    Request,
    Tree,
    freeze,
    manifest,
    scan,
    verify,
)

names = st.binary(min_size=1, max_size=40).filter(
    lambda name: (
        b"/" not in name
        and b"\0" not in name
        and name not in {b".", b".."}
        and not name.startswith(b".wh.")
    )
) | st.sampled_from([b"new\nline", b"\xff\xfe", "é".encode(), b" ", b"-rf", b"n" * 200])
contents = st.binary(max_size=200) | st.sampled_from([bytes(200_000), b"x" * 70_000])
files = st.tuples(
    st.just("file"), contents, st.sampled_from([0o644, 0o755, 0o600, 0o4700])
)
links = st.tuples(
    st.just("link"),
    st.binary(min_size=1, max_size=150).filter(lambda t: b"\0" not in t),
)
sparse = st.tuples(st.just("sparse"), st.integers(0, 300_000), st.binary(max_size=9))
hard = st.tuples(st.just("hard"))
folders = st.tuples(st.just("folder"), st.sampled_from([0o755, 0o700, 0o2750]))
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map(tuple),
    files | links | sparse | hard | folders,
    max_size=8,
)


def lay(root: Path, layout, order) -> None:
    """Make a tree, its paths in an order."""
    root.mkdir()
    first: Path | None = None
    modes = []
    for path in order:
        kind, *rest = layout[path]
        full = root / os.fsdecode(b"/".join(path))
        full.parent.mkdir(parents=True, exist_ok=True)
        if kind == "hard" and first is not None:
            full.hardlink_to(first)
        elif kind == "link":
            full.symlink_to(os.fsdecode(rest[0]))
        elif kind == "folder":
            full.mkdir(exist_ok=True)
            modes.append((full, rest[0]))
        elif kind == "sparse":
            with full.open("wb") as file:
                file.seek(rest[0])
                file.write(rest[1])
                file.truncate()
        else:
            full.write_bytes(rest[0] if rest else b"")
            modes.append((full, rest[1] if rest else 0o644))
            first = first or full
    for full, mode in modes:
        full.chmod(mode)


def possible(layout) -> list[tuple[bytes, ...]]:
    """Return the paths that do not lie below one that is no folder; sorted."""
    paths = sorted(layout)
    return [
        path
        for path in paths
        if not any(
            path[:n] in layout and layout[path[:n]][0] != "folder"
            for n in range(1, len(path))
        )
    ]


@given(trees, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_same_content_has_the_same_digest(restore, layout, random):
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        order = possible(layout)
        lay(base / "one", layout, order)
        # Which file a hard link shares its bytes with depends on the order.
        copies = dict(layout)
        for path in order:
            if layout[path][0] == "hard":
                full = base / "one" / os.fsdecode(b"/".join(path))
                copies[path] = ("file", full.read_bytes(), full.stat().st_mode & 0o7777)
        random.shuffle(order)
        lay(base / "elsewhere", copies, order)
        for each in (base / "elsewhere").rglob("*"):
            os.utime(each, (1, random.randrange(10**9)), follow_symlinks=False)
            if os.geteuid() == 0:
                os.chown(each, 1234, 1234, follow_symlinks=False)
        one, other = LocalStore(base / "store 1"), LocalStore(base / "store 2")
        # As inputs, which are taken whole: of code, some names are left out.
        (base / "work").mkdir()
        mine = freeze(Request(base / "work", inputs=(base / "one",)), one)
        theirs = freeze(Request(base / "work", inputs=(base / "elsewhere",)), other)
        assert mine.id == theirs.id
        assert mine.part("inputs/0").layers == theirs.part("inputs/0").layers
        frozen = manifest(mine, one, "inputs/0")
        assert frozen == scan(base / "one")
        assert scan(restore(mine, one, base / "again", "inputs/0")) == frozen
        assert verify(mine, one) == []


targets = st.binary(min_size=1).filter(lambda target: b"\0" not in target)
paths = targets.filter(lambda path: {b"", b".", b".."}.isdisjoint(path.split(b"/")))
entries = st.builds(
    lambda path, mode, size, sha256: Entry(path, Kind.FILE, mode, size, sha256),
    paths,
    st.integers(0, 0o777),
    st.integers(0, 2**70),
    st.text("0123456789abcdef", min_size=64, max_size=64),
) | st.builds(
    lambda path, target: Entry(path, Kind.LINK, 0o777, target=target), paths, targets
)


@given(st.lists(entries, unique_by=lambda entry: entry.path), st.randoms())
def test_the_canonical_form_is_read_back(some, random):
    tree = Tree.of(some)
    random.shuffle(some)
    assert Tree.of(some).digest == tree.digest
    assert Tree.parse(tree.canonical) == tree


def test_the_canonical_form_is_as_documented():
    tree = Tree.of(
        [
            Entry(b"b\n", Kind.FILE, 0o644, 3, "ab" * 32),
            Entry(b"a", Kind.FOLDER, 0o750),
            Entry(b"a/l", Kind.LINK, 0o777, target=b"../b"),
        ]
    )
    assert tree.canonical == (
        b"analysis-facility tree 1\0d 750 a\0l a/l\0../b\0f 644 3 "
        + b"ab" * 32
        + b" b\n\0"
    )
    # Whoever changes this changes the identity of every snapshot there is.
    assert (
        tree.digest
        == "sha256:2455da1fdeb13a52f258016be9099ba08bb81570c9dc356a04dfe13cfc88ab41"
    )
