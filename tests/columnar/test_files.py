"""Paths, globs and lists; what is missing is said with the nearest name."""

import pytest

from facility.columnar import DatasetError
from facility.columnar.files import expand


def test_globs_are_sorted_and_each_file_counts_once(tmp_path):
    for name in ("b.root", "a.root", "c.txt"):
        (tmp_path / name).touch()
    found = expand([tmp_path / "b.root", str(tmp_path / "*.root")])
    assert [p.name for p in found] == ["b.root", "a.root"]


def test_a_name_with_glob_characters_is_that_file(tmp_path):
    (tmp_path / "run[1].root").touch()
    assert expand(tmp_path / "run[1].root")[0].name == "run[1].root"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("muon.root", r"muon.root does not exist: did you mean muons.root\?"),
        ("nowhere/x.root", "does not exist"),
        ("*.parquet", "no file matches"),
        (".", "is a directory"),
        ("root://host//file.root", "is a URL, expected a path"),
        ([], "no files"),
    ],
)
def test_errors(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "muons.root").touch()
    with pytest.raises(DatasetError, match=message) as caught:
        expand(given)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
