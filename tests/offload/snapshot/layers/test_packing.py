"""Which layers a part is made of: decided without looking at any disk."""

from offload.snapshot import Entry, Kind, Tree
from offload.snapshot.cuts import Group
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.survey import Found
from offload.snapshot.layers.packing import (
    PACK_SIZE,
    Chain,
    content_key,
    plan_chain,
    plan_groups,
    removals,
)

MB = 1 << 20


def found(path: bytes, size: int = 0, inode: int = 0, kind: Kind = Kind.FILE) -> Found:
    return Found(path, kind, Fingerprint(1, inode, size, 0, 0, 0o644))


def many(count: int, size: int) -> list[Found]:
    return [found(b"%06d" % n, size, n) for n in range(count)]


def sha(number: int) -> str:
    return f"{number:064x}"


def known(some: list[Found]) -> dict[Fingerprint, str]:
    return {one.fingerprint: sha(one.fingerprint.inode) for one in some}


def chain_of(some: list[Found], layers: int = 1, packed: int | None = None) -> Chain:
    tree = Tree.of(one.entry(sha(one.fingerprint.inode)) for one in some)
    return Chain(tree, layers, tree.size if packed is None else packed)


def first(some: list[Found], max_layers: int = 60):
    return plan_chain("code", b"/r", some, {}, None, max_layers=max_layers).packs


def test_the_first_cut_holds_everything_once_in_order():
    some = many(3000, MB // 10)
    packs = first(some)
    assert [one for pack in packs for one in pack.found] == some
    assert all(pack.size <= 2 * PACK_SIZE + MB for pack in packs)
    assert all(pack.size >= PACK_SIZE // 2 for pack in packs[:-1])
    assert 300 * MB // (2 * PACK_SIZE) <= len(packs) <= 300 * MB // (PACK_SIZE // 2) + 1


def test_however_large_there_are_not_too_many_layers():
    for size in (MB, 1000 * MB, 10**12):
        packs = first(many(500, size), max_layers=20)
        assert len(packs) <= 10


def test_nothing_is_one_empty_layer():
    (pack,) = first([])
    assert pack.found == ()


def test_a_change_in_front_leaves_later_cuts_where_they_were():
    some = many(5000, MB // 10)
    before = [pack.found for pack in first(some)]
    after = [pack.found for pack in first([found(b"000", 3 * MB, 10**6), *some])]
    assert len(set(before) & set(after)) >= len(before) - 3


def test_what_is_known_and_the_same_is_kept():
    some = many(10, 100)
    plan = plan_chain("code", b"/r", some, known(some), chain_of(some), max_layers=60)
    assert plan.keeps_layers
    assert plan.packs == ()
    assert len(plan.kept) == 10


def test_a_delta_holds_the_changed_and_marks_the_removed():
    before, now = many(10, 100), many(10, 100)
    now[3] = found(now[3].path, 100, inode=99)
    del now[5]
    now.append(found(b"new", 7, inode=100))
    plan = plan_chain("code", b"/r", now, known(now), chain_of(before), max_layers=60)
    (pack,) = plan.packs
    assert [one.path for one in pack.found] == [b"000003", b"new"]
    assert pack.removed == (b"000005",)
    assert len(plan.kept) == 8


def test_what_is_not_known_is_read_but_compared():
    some = many(10, 100)
    plan = plan_chain("code", b"/r", some, {}, chain_of(some), max_layers=60)
    (pack,) = plan.packs
    assert len(pack.found) == 10
    assert pack.below.keys() == {one.path for one in some}


def test_too_long_a_chain_is_cut_again():
    some = many(10, 100)
    chain = chain_of(some, layers=59)
    plan = plan_chain("code", b"/r", some[:-1], known(some), chain, max_layers=60)
    assert not plan.keeps_layers
    assert plan.kept == ()


def test_too_many_dead_bytes_are_cut_away():
    some = many(10, 10 * MB)
    for packed, keeps in ((150 * MB, True), (250 * MB, False)):
        chain = chain_of(some, layers=3, packed=packed)
        plan = plan_chain("code", b"/r", some, known(some), chain, max_layers=60)
        assert plan.keeps_layers is keeps


def test_folders_go_with_each_group():
    some = [
        found(b"lib", kind=Kind.FOLDER),
        found(b"lib/a", kind=Kind.FOLDER),
        found(b"lib/a/1"),
        found(b"lib/b", kind=Kind.FOLDER),
        found(b"lib/b/1"),
    ]
    groups = [
        Group("a-1", (b"lib/a/1",), is_recorded=True),
        Group("b-1", (b"lib/b/1", b"lib/b/gone"), is_recorded=False),
        Group("c-1", (b"lib/c/gone",), is_recorded=True),
    ]
    one, two, three = plan_groups("env", b"/r", some, groups).packs
    assert [each.path for each in one.found] == [b"lib", b"lib/a", b"lib/a/1"]
    assert [each.path for each in two.found] == [b"lib", b"lib/b", b"lib/b/1"]
    assert [each.path for each in three.found] == [b"lib"]
    assert (one.is_inspected, two.is_inspected) == (False, True)


def test_a_removed_folder_is_marked_once():
    below = Tree.of(
        [
            Entry(b"a", Kind.FOLDER, 0o755),
            Entry(b"a/b", Kind.FOLDER, 0o755),
            Entry(b"a/b/c", Kind.FILE, 0o644),
            Entry(b"x", Kind.FOLDER, 0o755),
            Entry(b"x/y", Kind.FILE, 0o644),
        ]
    )
    # x is a file now: what was below it is gone with the folder it was.
    assert removals(below, {b"x": Kind.FILE}) == [b"a"]
    assert removals(below, {b"a": Kind.FOLDER, b"x": Kind.FOLDER}) == [b"a/b", b"x/y"]
    assert removals(below, {entry.path: entry.kind for entry in below.entries}) == []


def test_the_same_content_has_the_same_key():
    some = [Entry(b"a", Kind.FILE, 0o644, 1, sha(1)), Entry(b"b", Kind.FOLDER, 0o755)]
    key = content_key("code", some)
    assert content_key("code", reversed(some)) == key
    others = {
        content_key("env", some),
        content_key("code", some[:1]),
        content_key("code", some, [b"gone"]),
        content_key("code", [some[0]._replace(mode=0o755), some[1]]),
    }
    assert len(others | {key}) == 5
