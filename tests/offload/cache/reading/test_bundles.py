"""Bundles hold objects as they travel, and bring a start here in one go."""

import pytest

from offload.cache.cvmfs.errors import DamagedObjectError
from offload.cache.cvmfs.names import ObjectName, Suffix
from offload.cache.cvmfs.objects import compress
from offload.cache.reading.ahead import Ahead
from offload.cache.reading.bundles import Use, item, pack, unpack
from offload.cache.reading.traces import Trace


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


@pytest.fixture
def uses(cache, publisher, image):
    """All files' objects, as a job that reads everything leaves them in a trace."""
    trace = Trace()
    path = f"/.flat/{image[7:9]}/{image[7:]}".encode()
    for _, row in cache.view().walk(path):
        for name in row.objects():
            trace.note(Use(name, row.mode, row.mtime), row.size)
    return trace.uses


def publish(publisher, image, uses, spoil=lambda name, data: data):
    def read(name):
        return spoil(name, (publisher.public / name.path).read_bytes())

    publisher.publish_at(b"/.bundles", item(image, uses, read))


def test_what_is_packed_is_unpacked():
    bodies = [compress(b"a" * n) for n in range(50)]
    uses = [
        Use(
            ObjectName.of(body, Suffix.CHUNK if n % 2 else Suffix.FILE),
            0o755 - n,
            n - 9,
        )
        for n, body in enumerate(bodies)
    ]
    by_name = dict(zip((use.name for use in uses), bodies, strict=True))
    data = b"".join(pack(uses, by_name.__getitem__))
    assert [(use, bytes(body)) for use, body in unpack(data)] == list(
        zip(uses, bodies, strict=True)
    )


@pytest.mark.parametrize("cut", [0, 5, 20, 40, 65, -1])
def test_what_is_no_whole_bundle_is_refused(cut):
    body = compress(b"content" * 20)
    data = b"".join(pack([Use(ObjectName.of(body), 0o644, 0)], lambda _: body))
    with pytest.raises(DamagedObjectError, match="a bundle: "):
        list(unpack(data[:cut]))


def test_a_cold_cache_gets_all_objects_in_one_file(
    make_cache, publisher, origin, image, uses
):
    publish(publisher, image, uses)
    cache = make_cache("cold")
    place = cache.bundle(image)
    found = [use for use, _ in unpack(place.read_bytes())]
    assert tuple(found) == uses
    assert len(found) == 7
    origin.requests.clear()
    assert cache.bundle(image) == place
    assert not [p for p in origin.requests if "/data/" in p]


def test_a_bundle_that_is_damaged_on_disk_is_fetched_again(
    make_cache, publisher, image, uses
):
    publish(publisher, image, uses)
    place = make_cache("cold").bundle(image)
    good = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(good[:-1])
    assert make_cache("cold").bundle(image).read_bytes() == good


def test_without_a_bundle_nothing_is_ahead(cache, image):
    assert cache.bundle(image) is None


def test_of_a_bundle_that_lies_nothing_is_used(make_cache, publisher, image, uses):
    bodies = {use.name: (publisher.public / use.name.path).read_bytes() for use in uses}
    names = list(bodies)
    swapped = dict(zip(names, [bodies[n] for n in names[1:] + names[:1]], strict=True))
    publish(publisher, image, uses, lambda name, _: swapped[name])
    ahead = Ahead()
    ahead.open(make_cache("cold").bundle(image))
    assert [ahead.content(name) for name in names] == [None] * len(names)
    ahead.close()


def test_a_trace_survives_the_disk(tmp_path):
    trace = Trace()
    names = [ObjectName(bytes([n]) * 20, Suffix.CHUNK) for n in range(5)]
    for n, name in enumerate([*names, *names]):
        trace.note(Use(name, 0o644, -n), 10 + n)
    path = tmp_path / "traces" / "x"
    trace.save(path)
    with path.open("a") as file:
        file.write("damage\n")
    again = Trace.load(path)
    assert again.uses == trace.uses
    assert (len(again), again.size) == (5, 60)
    more = Trace()
    more.merge([Trace.load(tmp_path / "nothing"), again])
    assert more.uses == trace.uses
