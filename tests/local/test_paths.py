import os
from pathlib import Path

import pytest

from facility.errors import UsageError
from facility.local.files import create_file, ensure_private_directory, replace_file
from facility.local.paths import Place


def test_one_directory_one_place(tmp_path, state_home):
    one = tmp_path / "one"
    (one / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(one)
    assert Place.of(one) == Place.of(tmp_path / "link") == Place.of(one / "sub" / "..")
    assert Place.of(one).key != Place.of(one / "sub").key


def test_storage_is_named_after_facility_and_directory(tmp_path, state_home):
    place = Place.of(tmp_path)
    storage = place.storage("name")
    assert storage.id == f"name-{place.key}"
    assert storage.state_dir == state_home / "analysis-facility" / storage.id
    elsewhere = place.storage("name", Path("here"))
    assert elsewhere.state_dir == tmp_path / "here" / storage.id


def test_the_last_storage_is_remembered(tmp_path, state_home):
    place = Place.of(tmp_path)
    assert place.last_storage() is None
    place.ensure()
    storage = place.storage("name", tmp_path / "x")
    place.remember(storage)
    assert place.last_storage() == storage


def test_directories_are_private(tmp_path):
    path = tmp_path / "a" / "b"
    path.mkdir(parents=True, mode=0o755)
    ensure_private_directory(path)
    assert path.stat().st_mode & 0o777 == 0o700


def test_somebody_elses_directory_is_refused(tmp_path):
    path = Path("/usr")
    if os.geteuid() == 0:
        path = tmp_path
        os.chown(path, 12345, -1)
    with pytest.raises(UsageError, match="expected a directory of user id"):
        ensure_private_directory(path)


def test_create_file_never_replaces(tmp_path):
    path = tmp_path / "x"
    create_file(path, "one")
    with pytest.raises(FileExistsError):
        create_file(path, "two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_replace_file(tmp_path):
    path = tmp_path / "x"
    replace_file(path, "one")
    replace_file(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
