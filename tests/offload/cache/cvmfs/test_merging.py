"""Layers laid on each other, as the OCI image specification says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.merging import merge
from offload.cache.cvmfs.rows import Row
from offload.snapshot.tree import Kind


def layer(*paths: str, mode: int = 0o644) -> list[tuple[bytes, Row]]:
    """Folders end with a slash, links name what they lead to after an arrow."""
    found = []
    for text in paths:
        path, _, target = text.partition("->")
        kind = Kind.LINK if target else Kind.FILE
        if path.endswith("/"):
            path, kind = path[:-1], Kind.FOLDER
        name = path.rpartition("/")[2].encode()
        row = Row(name, kind, mode, 0, 0, target=target.encode())
        found.append((path.encode(), row))
    return found


def shown(*layers) -> list[str]:
    return sorted(
        path.decode() + ("/" if row.kind is Kind.FOLDER else "")
        for path, row in merge(layers).items()
    )


CASES = {
    "beside": ([["a/", "a/x"], ["a/", "a/y", "b"]], ["a/", "a/x", "a/y", "b"]),
    "deleted": ([["a/", "a/x", "a/y"], ["a/", "a/.wh.x"]], ["a/", "a/y"]),
    "folder deleted": ([["a/", "a/b/", "a/b/x", "c"], [".wh.a"]], ["c"]),
    "deleted and made anew": (
        [["a/", "a/old"], [".wh.a", "a/", "a/new"]],
        ["a/", "a/new"],
    ),
    "opaque": (
        [["a/", "a/x", "a/b/", "a/b/y"], ["a/", "a/new", "a/.wh..wh..opq"]],
        ["a/", "a/new"],
    ),
    "a file for a folder": ([["a/", "a/x"], ["a"]], ["a"]),
    "a folder for a file": ([["a"], ["a/", "a/x"]], ["a/", "a/x"]),
    "a folder for a link": (
        [["lib->usr/lib", "usr/", "usr/lib/"], ["lib/", "lib/x"]],
        ["lib/", "lib/x", "usr/", "usr/lib/"],
    ),
    "nothing to delete": ([["a"], [".wh.b", "c/", "c/.wh.d"]], ["a", "c/"]),
    "the lowest deletes nothing": ([[".wh.a", "a"]], ["a"]),
    "three": ([["a"], [".wh.a"], ["a"]], ["a"]),
    "none": ([], []),
}


@pytest.mark.parametrize(("layers", "expected"), CASES.values(), ids=CASES)
def test_layers_give(layers, expected):
    assert shown(*(layer(*paths) for paths in layers)) == sorted(expected)


def test_the_upper_folder_says_the_mode():
    merged = merge([layer("a/", "a/x", mode=0o700), layer("a/", mode=0o755)])
    assert {path: row.mode for path, row in merged.items()} == {
        b"a": 0o755,
        b"a/x": 0o700,
    }


names = st.sampled_from("abc")
kinds = st.sampled_from(["file", "folder", "link", "deleted"])
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), kinds, max_size=8
)


@given(st.lists(trees, max_size=3))
def test_it_is_what_unpacking_one_after_the_other_gives(found):
    """Compared with a model that knows nothing but a set of paths."""
    layers, model = [], {}
    for tree in found:
        members = {}
        for path, kind in sorted(tree.items()):
            parents = path.split("/")[:-1]
            above = ["/".join(parents[: i + 1]) for i in range(len(parents))]
            if any(members.get(folder, "folder") != "folder" for folder in above):
                continue
            members.update(dict.fromkeys(above, "folder"))
            members[path] = kind
        layers.append(
            layer(
                *(
                    {
                        "file": path,
                        "folder": path + "/",
                        "link": path + "->x",
                        "deleted": "/".join(
                            [*path.split("/")[:-1], ".wh." + path.split("/")[-1]]
                        ),
                    }[kind]
                    for path, kind in members.items()
                )
            )
        )
        for path, kind in members.items():
            replaces = kind != "folder"
            model = {
                p: k
                for p, k in model.items()
                if not (replaces and (p == path or p.startswith(path + "/")))
            }
        model |= {p: k for p, k in members.items() if k != "deleted"}
    merged = {path.decode(): row.kind.value for path, row in merge(layers).items()}
    assert merged == model


def test_an_image_is_merged_from_rows_alone(repository, make, contents):
    base = [
        make.file(b"usr/bin/python", b"3.11", 0o755),
        make.file(b"usr/share/doc", b"doc"),
        make.link(b"bin", b"usr/bin"),
    ]
    upper = [
        make.file(b"usr/bin/python", b"3.12", 0o755),
        make.file(b"usr/share/.wh.doc"),
        make.file(b"usr/large", bytes(5 << 20)),
    ]
    with repository.transaction() as transaction:
        transaction.put_tree(b"/.layers/1/layerfs", base)
        transaction.commit()
    before = {str(name) for name in repository._storage.names()}
    with repository.transaction() as transaction:
        transaction.put_tree(b"/.layers/2/layerfs", upper)
        transaction.merge(b"/.flat/1", [b"/.layers/1/layerfs", b"/.layers/2/layerfs"])
        with pytest.raises(RepositoryError, match="no such layer"):
            transaction.merge(b"/.flat/2", [b"/.layers/3"])
        transaction.commit()
    found = contents(repository)
    assert {
        p.removeprefix(b"/.flat/1"): v for p, v in found.items() if b".flat/1" in p
    } == {
        b"": (Kind.FOLDER, 0o755, b""),
        b"/bin": (Kind.LINK, 0o777, b"usr/bin"),
        b"/usr": (Kind.FOLDER, 0o755, b""),
        b"/usr/bin": (Kind.FOLDER, 0o755, b""),
        b"/usr/bin/python": (Kind.FILE, 0o755, b"3.12"),
        b"/usr/large": (Kind.FILE, 0o644, bytes(5 << 20)),
        b"/usr/share": (Kind.FOLDER, 0o755, b""),
    }
    fresh = {str(name) for name in repository._storage.names()} - before
    # Two contents, an empty whiteout, two chunks of zeros; three catalogues, a history.
    assert sorted(name[40:] for name in fresh) == ["", "", "C", "C", "C", "H", "P", "P"]
