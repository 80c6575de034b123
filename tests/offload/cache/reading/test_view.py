"""What lies where: through nested catalogues, and never out of the tree."""

from datetime import UTC, datetime

import pytest

from offload.cache.cvmfs.catalogue import Counters
from offload.cache.cvmfs.cataloguing import write_catalogue
from offload.cache.cvmfs.errors import RepositoryError
from offload.cache.cvmfs.names import NO_PARENT, ObjectName, key_of
from offload.cache.cvmfs.rows import Row
from offload.cache.reading import ReadingError
from offload.cache.reading.view import Catalogues, Revision, View
from offload.snapshot.tree import Kind


def test_paths_are_found_through_nested_catalogues(cache, publisher):
    publisher.publish(small=publisher.small)
    image = publisher.digest("small")
    top = f"/.flat/{image[7:9]}/{image[7:]}".encode()
    view = cache.view()
    assert view.find(b"").kind is Kind.FOLDER
    assert [row.name for row in view.listing(b"")] == [b".flat"]
    assert view.find(top + b"/env/bin/python3").target == b"python"
    assert view.find(top + b"/env/nothing") is None
    assert len(view.find(top + b"/env/large.so").chunks) == 2
    walked = dict(view.walk(top))
    assert set(walked) == {item.path for item in publisher.small}
    assert view.counters(top).regular == 7
    with pytest.raises(ReadingError, match="one.py: expected a folder"):
        list(view.walk(top + b"/env/one.py"))


@pytest.mark.parametrize("name", [b"..", b".", b"a/../../b", b""])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    folder = Row(b"", Kind.FOLDER, 0o755, 4096, 0)
    evil = Row(name, Kind.FILE, 0o644, 1, 0, b"1" * 20)
    rows = [(key_of(b""), NO_PARENT, folder), (key_of(b"/x"), key_of(b""), evil)]
    data, _ = write_catalogue(b"", rows, [], Counters())
    path = tmp_path / "catalogue"
    path.write_bytes(data)
    root = ObjectName(b"0" * 20)
    revision = Revision("a.b", 1, datetime.now(UTC), root, len(data))
    view = View(revision, Catalogues(lambda _name, _size: path))
    with pytest.raises(ReadingError, match="holds a name"):
        list(view.walk(b""))


def test_a_catalogue_given_up_while_it_is_opened_is_fetched_again(tmp_path):
    folder = Row(b"", Kind.FOLDER, 0o755, 4096, 0)
    rows = [(key_of(b""), NO_PARENT, folder)]
    data, _ = write_catalogue(b"", rows, [], Counters())
    (tmp_path / "here").write_bytes(data)
    (tmp_path / "broken").write_bytes(b"none")
    places = [tmp_path / "gone", tmp_path / "here"]
    catalogues = Catalogues(lambda name, size: places.pop(0))
    assert catalogues.get(ObjectName(b"0" * 20), len(data)).lookup(b"") is not None
    assert not places
    with pytest.raises(RepositoryError, match="no catalogue"):
        Catalogues(lambda name, size: tmp_path / "broken").get(ObjectName(b"1" * 20), 4)
