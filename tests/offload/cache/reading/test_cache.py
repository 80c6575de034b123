"""A site's cache: trees as they were published, each object fetched once, verified."""

import os
import stat

import pytest

from offload.cache.reading import UnreachableError, Way
from offload.cache.reading.showing import shown


def described(top):
    """Return mode, time and content of all below a folder."""
    found = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", stat.S_IMODE(status.st_mode))
        else:
            mode = stat.S_IMODE(status.st_mode)
            found[name] = ("file", mode, int(status.st_mtime), path.read_bytes())
    return found


def expected(items):
    found = {}
    for item in items:
        name = os.fsdecode(item.path) or "."
        match item.kind:
            case "folder":
                found[name] = ("folder", item.mode)
            case "link":
                found[name] = ("link", os.fsdecode(item.target))
            case "file":
                found[name] = ("file", item.mode, item.mtime, item.content)
    return found


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


def test_an_image_is_a_tree_as_it_was_published(cache, publisher, image):
    tree = cache.image(image)
    assert described(tree) == expected(publisher.small)
    assert cache.trees() == [f"images/{image.removeprefix('sha256:')}"]


def test_what_is_here_is_not_asked_for_again(cache, origin, image):
    tree = cache.image(image)
    assert max(n for p, n in origin.requests.items() if "/data/" in p) == 1
    before = sum(origin.requests.values())
    assert cache.image(image) == tree
    assert sum(origin.requests.values()) == before


def test_images_share_their_files(cache, publisher):
    changed = (*publisher.small, publisher.file(b"env/more.py", b"more"))
    publisher.publish(one=publisher.small, other=changed)
    one, other = (cache.image(publisher.digest(name)) for name in ("one", "other"))
    for path in ("env/large.so", "env/one.py", "env/bin/python"):
        assert (one / path).samefile(other / path)
    # The same bytes, but another mode: a file of its own.
    assert not (one / "env/one.py").samefile(one / "env/same.py")


def test_an_image_that_is_not_there_yet_is_none_and_is_looked_for_again(
    cache, publisher
):
    wanted = publisher.digest("small")
    assert cache.image(wanted) is None
    publisher.publish(small=publisher.small)
    assert cache.image(wanted) is not None


def test_a_layer_is_the_folder_it_unpacks_to(cache, publisher):
    layer = publisher.digest("layer")
    hexed = layer.removeprefix("sha256:")
    publisher.publish_at(
        f"/.layers/{hexed[:2]}/{hexed}/layerfs".encode(), *publisher.small
    )
    assert cache.layer(publisher.digest("other")) is None
    tree = cache.layer(layer)
    assert described(tree) == expected(publisher.small)
    assert tree == cache.folder / "layers" / hexed


def test_copies_are_not_linked_to_what_is_kept(cache, publisher, image, tmp_path):
    hexed = image.removeprefix("sha256:")
    path = f"/.flat/{hexed[:2]}/{hexed}"
    target = tmp_path / "copy"
    cache.materialise(path, target, only=("env/one.py", "env/bin"))
    assert sorted(str(p.relative_to(target)) for p in target.rglob("*")) == [
        "env",
        "env/bin",
        "env/bin/python",
        "env/bin/python3",
        "env/one.py",
    ]
    assert {p.stat().st_nlink for p in target.rglob("*") if p.is_file()} == {1}
    (target / "env/one.py").write_bytes(b"changed")
    assert (cache.image(image) / "env/one.py").read_bytes() == b"one = 1\n" * 90


def test_paths_are_found(cache, image):
    path = f"/.flat/{image[7:9]}/{image[7:]}/env/one.py"
    assert cache.find(path).size == 720
    assert cache.find("/nothing") is None


def test_a_cached_image_starts_while_nobody_answers(cache, make_cache, origin, image):
    cache.image(image)
    origin.stop()
    for again in (cache, make_cache("site")):
        assert (again.image(image) / "env/one.py").read_bytes() == b"one = 1\n" * 90
        revision = again.refresh()
        assert "Connection refused" in revision.note
    with pytest.raises(UnreachableError, match="Connection refused"):
        make_cache("empty").image(image)


def catalogues(cache):
    """The catalogues that are here, by the objects' names."""
    store = cache._reader.store
    names = {name for name, _ in store.objects() if name.endswith("C")}
    return {name for name in names if store.find(name)}


def test_an_image_whose_tree_stands_needs_no_catalogue(
    cache, make_cache, origin, publisher, image
):
    assert cache.find(f"/.flat/{image[7:9]}/{image[7:]}").kind == "folder"
    root = catalogues(cache)
    tree = cache.image(image)
    assert catalogues(cache) == root
    origin.stop()
    (tree / "env/bin").chmod(0o755)
    (tree / "env/bin/python").unlink()
    (tree / "env/bin/python3").unlink()
    for one in (make_cache("site"), cache):
        assert described(one.image(image)) == expected(publisher.small)
        assert one.amount(image).files == 0
        assert one.wait(image, 0) is not None
        with shown(one, image, tree.parent / "shown") as there:
            assert there.way is Way.WHOLE
    assert cache.verify() == 0


def test_catalogues_stay_for_a_job_until_it_has_ended(cache, origin, image):
    cache.pin("job", image)
    cache.pin("other", image)
    cache.amount(image)
    before = catalogues(cache)
    cache.image(image)
    cache.unpin("other")
    assert catalogues(cache) == before
    origin.stop()
    cache.unpin("job")
    assert len(catalogues(cache)) == len(before) - 1
    cache.unpin("job")


def test_an_image_can_be_read_lazily_though_its_catalogue_was_given_up(cache, image):
    cache.image(image)
    path = f"/.flat/{image[7:9]}/{image[7:]}".encode()
    found = {row.name for row in cache.view().listing(path + b"/env")}
    assert b"one.py" in found


def test_waiting_ends_with_the_revision_that_has_the_image(cache, publisher):
    assert cache.wait(publisher.digest("small"), 0.0) is None
    manifest = publisher.publish(small=publisher.small)
    found = cache.wait(publisher.digest("small"), 5.0)
    assert found.number == manifest.revision
