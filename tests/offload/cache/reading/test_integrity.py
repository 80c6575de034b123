"""What is damaged on the wire or on disk is found, fetched again, and never used."""

import os
import random

import pytest

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.reading import ReadingError

FLIPS = 12


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


def contents(top):
    return {p.name: p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}


def flipped(data, rng):
    spoilt = bytearray(data)
    spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


SPOILT = {
    "flipped": flipped,
    "cut": lambda data, rng: data[: rng.randrange(len(data))],
    "longer": lambda data, rng: data + b"more",
    "empty": lambda data, rng: b"",
    "other": lambda data, rng: rng.randbytes(len(data)),
}


@pytest.mark.parametrize("how", SPOILT)
def test_objects_spoilt_on_the_wire_are_asked_for_again(make_cache, origin, image, how):
    rng = random.Random(how)
    good = contents(make_cache().image(image))
    objects = {path for path in origin.requests if "/data/" in path}
    seen = set()

    def spoil(path, body):
        """Spoil every object the first time it is asked for."""
        if "/data/" not in path or path in seen:
            return body
        seen.add(path)
        return SPOILT[how](body, rng)

    origin.spoil = spoil
    before = origin.requests.copy()
    assert contents(make_cache().image(image)) == good
    asked = origin.requests - before
    assert seen == objects
    assert {asked[path] for path in seen} == {2}
    again = [h for h in origin.headers if h.get("Cache-Control") == "no-cache"]
    assert len(again) >= len(objects)  # past what a proxy may keep


def test_an_object_that_nobody_has_whole_is_an_error_and_leaves_no_tree(
    cache, origin, image
):
    origin.spoil = lambda p, body: body[:-1] if "P" in p else body
    with pytest.raises(DamagedObjectError, match=r"object [0-9a-f]{40}P: "):
        cache.image(image)
    assert cache.trees() == []
    origin.spoil = lambda _, body: body
    assert cache.image(image) is not None


def test_objects_that_are_swapped_are_found_out(make_cache, origin, publisher, image):
    good = contents(make_cache().image(image))
    objects = [p for p in publisher.objects() if not p.name.endswith(("C", "X", "H"))]
    bodies = [p.read_bytes() for p in objects]
    for path, body in zip(objects, bodies[1:] + bodies[:1], strict=True):
        path.write_bytes(body)
    with pytest.raises(DamagedObjectError, match="its bytes have|at most|goes on"):
        make_cache("later").image(image)
    for path, body in zip(objects, bodies, strict=True):
        path.write_bytes(body)
    assert contents(make_cache("later").image(image)) == good


def flip_on_disk(path, rng, *, silently):
    status = path.stat()
    mode = status.st_mode
    path.chmod(0o600)
    path.write_bytes(flipped(path.read_bytes(), rng))
    path.chmod(mode)
    if silently:  # as a disk does
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("silently", [False, True])
def test_bytes_flipped_in_trees_are_mended(make_cache, image, silently):
    rng = random.Random(1)
    cache = make_cache("site", verify_s=0 if silently else 86400)
    tree = cache.image(image)
    good = contents(tree)
    files = [p for p in tree.rglob("*") if p.is_file() and p.stat().st_size]
    for _ in range(FLIPS):
        flip_on_disk(rng.choice(files), rng, silently=silently)
        user = rng.choice([cache, make_cache("site", **cache.settings.model_dump())])
        assert contents(user.image(image)) == good


def test_bytes_flipped_in_what_is_kept_are_not_used_for_another_tree(
    make_cache, publisher, image
):
    rng = random.Random(2)
    cache = make_cache("site")
    good = contents(cache.image(image))
    for path in (cache.folder / "content").rglob("*"):
        if path.is_file() and path.stat().st_size:
            flip_on_disk(path, rng, silently=True)
    publisher.publish(other=publisher.small)
    later = make_cache("site")
    assert contents(later.image(publisher.digest("other"))) == good


def test_anything_changed_in_a_tree_is_put_back(cache, image):
    tree = cache.image(image)
    good = contents(tree)
    (tree / "env/one.py").unlink()
    (tree / "env/strange.py").write_text("import os")
    (tree / "env/same.py").chmod(0o777)
    (tree / "env/bin/python3").unlink()
    (tree / "env/bin/python3").symlink_to("/etc/passwd")
    (tree / "env/closed").chmod(0o755)
    (tree / "env/closed/secret.py").unlink()
    (tree / "env/closed/secret.py").mkdir()
    (tree / "env/closed/secret.py/x").touch()
    assert contents(cache.image(image)) == good
    assert (tree / "env/bin/python3").readlink().name == "python"
    assert (tree / "env/same.py").stat().st_mode & 0o777 == 0o600
    assert (tree / "env/closed").stat().st_mode & 0o777 == 0o555


def test_a_damaged_record_is_made_again_with_its_tree(cache, image):
    tree = cache.image(image)
    good = contents(tree)
    record = tree.with_name(f"{tree.name}.record")
    record.write_bytes(record.read_bytes()[:-3])
    (tree / "env/one.py").write_bytes(b"!")
    assert contents(cache.image(image)) == good


def test_damage_that_cannot_be_mended_is_an_error(cache, origin, image):
    tree = cache.image(image)
    (tree / "env/bin/python").write_bytes(b"changed")
    origin.status = 503
    cache._fetcher.patience_s = 0.0
    with pytest.raises(ReadingError, match="answers 503"):
        cache.image(image)


def test_verifying_reads_all_and_mends(cache, image):
    tree = cache.image(image)
    good = contents(tree)
    assert cache.verify() == 0
    flip_on_disk(tree / "env/large.so", random.Random(3), silently=True)
    assert cache.verify() == 1
    assert contents(tree) == good
