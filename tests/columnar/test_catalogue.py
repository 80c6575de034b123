"""A catalogue file: what it may say, what it means, and what is wrong with it."""

import json

import pytest

from facility.columnar import Dataset, DatasetError
from facility.columnar.catalogue import parse
from facility.columnar.schemas import SCHEMAS

YAML = """
muons:
  files: [data/*.root]
  tree: Events
  schema: nanoaod
  metadata: {cross_section_pb: 831.76, is_mc: true}
short: data/muons.root
"""


@pytest.fixture
def folder(tmp_path, ttree):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "muons.root").write_bytes(ttree.read_bytes())
    return tmp_path


def test_datasets_by_name(folder):
    (folder / "samples.yaml").write_text(YAML)
    catalogue = Dataset.catalogue(folder / "samples.yaml")
    assert list(catalogue) == ["muons", "short"]
    muons = catalogue["muons"]
    assert muons is catalogue["muons"]
    assert muons.metadata["cross_section_pb"] == 831.76
    assert muons.schema is SCHEMAS["nanoaod"]
    assert len(muons) == len(catalogue["short"]) == 1050


def test_a_fileset_of_coffea_in_json(folder, ttree):
    path = folder / "fileset.json"
    of_file = {"object_path": "Events", "steps": [[0, 1050]], "uuid": "x"}
    fileset = {
        "plain": {"files": {str(ttree): "Events"}, "metadata": {"year": 2018}},
        "preprocessed": {"files": {str(ttree): of_file}, "form": None},
    }
    path.write_text(json.dumps(fileset))
    catalogue = Dataset.catalogue(path)
    assert catalogue["plain"].metadata == {"year": 2018}
    assert len(catalogue["preprocessed"]) == 1050


def test_one_broken_dataset_does_not_hide_the_others(folder):
    (folder / "samples.yaml").write_text("good: data\nbad: nowhere.root")
    catalogue = Dataset.catalogue(folder / "samples.yaml")
    assert len(catalogue["good"]) == 1050
    with pytest.raises(DatasetError, match="nowhere.root does not exist"):
        catalogue["bad"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected names of datasets"),
        ({"a": {"file": ["x"]}}, "a: unknown key 'file': did you mean files"),
        ({"a": {}}, "a: files: expected a path or a list"),
        ({"a": {"files": [1]}}, "a: files: expected a path or a list"),
        ({"a": {"files": "x", "tree": 3}}, "a: tree: expected a name, got 3"),
        ({"a": {"files": "x", "metadata": 3}}, "a: metadata: expected keys"),
        ({"a": {"files": "x", "schema": "nano"}}, "a: no schema 'nano'"),
        ({"a": {"files": {"x": "A", "y": "B"}}}, "a: .*one tree, got A, B"),
        ({"a": {"files": {"x": 3}}}, "a: files: expected the tree of each, got 3"),
    ],
)
def test_what_no_catalogue_says(document, message):
    with pytest.raises(DatasetError, match=f"^samples.yaml: {message}") as caught:
        parse(document, "samples.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "line 1 is no YAML or JSON"), ("\x00", "no YAML or JSON")],
)
def test_what_is_no_yaml(tmp_path, text, message):
    (tmp_path / "samples.yaml").write_text(text)
    with pytest.raises(DatasetError, match=message) as caught:
        Dataset.catalogue(tmp_path / "samples.yaml")
    assert "\n" not in str(caught.value)


def test_a_catalogue_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        Dataset.catalogue(tmp_path / "samples.yaml")


def test_a_dataset_that_is_not_there(folder):
    (folder / "samples.yaml").write_text(YAML)
    with pytest.raises(DatasetError, match="no dataset 'muon': did you mean muons"):
        Dataset.catalogue(folder / "samples.yaml")["muon"]
