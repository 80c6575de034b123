"""Paths, globs and lists; what is missing is said with the nearest name."""

import fsspec
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


def test_a_folder_is_its_files(tmp_path):
    for name in ("b.root", "a.parquet", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in expand(tmp_path)] == ["a.parquet", "b.root"]


def test_relative_paths_start_where_one_says(tmp_path):
    (tmp_path / "a.root").touch()
    assert expand("a.root", tmp_path) == ((tmp_path / "a.root").resolve(),)
    assert expand("*.root", tmp_path) == expand("a.root", tmp_path)


def test_urls_stay_urls():
    url = "root://host:1094//data/a.root"
    assert expand([url, "root://host:1094/data/a.root"]) == (url,)


def test_globs_and_folders_of_a_server(tmp_path):
    fs = fsspec.filesystem("memory")
    for name in ("b.root", "a.root", "c.txt"):
        fs.pipe(f"/listed/{name}", b"")
    try:
        both = ("memory:///listed/a.root", "memory:///listed/b.root")
        assert expand("memory://listed/*.root") == both
        assert expand("memory://listed/") == both
    finally:
        fs.rm("/listed", recursive=True)


def test_a_path_of_this_machine_as_a_url(tmp_path):
    (tmp_path / "a.root").touch()
    assert expand(f"file://{tmp_path}/a.root")[0].name == "a.root"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("muon.root", r"muon.root does not exist: did you mean muons.root\?"),
        ("nowhere/x.root", "does not exist"),
        (None, r"None is no file: expected a path, a glob or a list"),
        (["muons.root", 3], r"3 is no file"),
        ("*.parquet", "no file matches"),
        ("empty", "is a directory without .root or .parquet files"),
        ("http:///file.root", "names no host"),
        ("memory://nowhere/*.root", "no file matches memory://nowhere"),
        ([], "no files"),
    ],
)
def test_errors(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "muons.root").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=message) as caught:
        expand(given)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
