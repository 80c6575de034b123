"""Names and types of branches become objects: for each experiment, as tables."""

import numpy as np
import pytest

from facility.columnar import DatasetError
from facility.columnar.columns import ColumnType
from facility.columnar.schemas import SCHEMAS, Schema, objects_of, schema_named


def types(jagged):
    """Return types by name: float32; lists for names that contain one of ``jagged``."""
    return lambda name: ColumnType(
        np.dtype(np.float32), any(part in name for part in jagged)
    )


def found(columns, jagged=(), schema=None):
    return objects_of(columns.split(), types(jagged), schema)


@pytest.mark.parametrize(
    ("columns", "schema"),
    [
        ("nMuon Muon_pt", "nanoaod"),
        ("AnalysisMuonsAuxDyn.pt EventInfoAuxDyn.runNumber", "physlite"),
        ("B_PX B_PY B_PZ nTracks", "lhcb"),
        ("NMuon Muon_Px", "inferred"),
        ("Jet_size Jet Jet.PT", "inferred"),
        ("x y", "inferred"),
        ("", "inferred"),
    ],
)
def test_the_schema_is_seen_from_the_names(columns, schema):
    assert found(columns).schema is SCHEMAS[schema]


@pytest.mark.parametrize(
    ("columns", "objects"),
    [
        ("nMuon Muon_pt Muon_eta MET_pt run", {"Muon": "pt eta", "MET": "pt"}),
        # A count makes an object of a name with underscores, of a branch it does not.
        ("nMuon nGood_Mu Good_Mu_pt", {"Good_Mu": "pt"}),
        ("nMuon nMuon_id Muon_id Muon_id_WP90", {"Muon": "id id_WP90"}),
        (
            "mu_plus_PX mu_plus_PY mu_plus_PZ mu_plus_IP_OWNPV B_PX B_PY B_PZ B_M nTr",
            {"mu_plus": "px py pz PX PY PZ IP_OWNPV", "B": "px py pz mass PX PY PZ M"},
        ),
        ("K_0_PT K_0_ETA K_0_PHI K_0_x p_PX", {"K_0": "pt eta phi PT ETA PHI x"}),
        (
            "AnalysisMuons AnalysisMuonsAuxDyn.pt AnalysisMuonsAuxDyn.a.b",
            {"Muons": "pt a.b", "Muon": "pt a.b"},
        ),
        ("TruthTausAuxDyn.m EventInfoAux.run x/yAuxDyn.z", {"TruthTaus": "mass m"}),
        # A branch that fields are in is their parent; a mere namesake is itself.
        ("Jet Jet.PT Jet_size", {"Jet": "pt PT"}),
        ("nMuon MET MET_pt", {}),
    ],
)
def test_fields(columns, objects):
    shapes = found(columns).collections
    got = {n: set(s.fields) for n, s in shapes.items() if n != "p" and "Event" not in n}
    assert got == {name: set(fields.split()) for name, fields in objects.items()}


def test_shapes_say_where_everything_is():
    shapes = found("nMuon Muon_pt Muon_eta Muon_phi Muon_mass MET_pt", ["Muon_"])
    muon, met = shapes.collections["Muon"], shapes.collections["MET"]
    assert muon.fields["pt"] == "Muon_pt"
    # Nobody says that nMuon counts them: it may be from before a selection.
    assert (muon.is_jagged, muon.counts) == (True, None)
    assert (met.is_jagged, met.counts, met.coordinates) == (False, None, None)


def test_a_count_may_come_from_the_file():
    def counted(name):
        return ColumnType(np.dtype(np.float64), True, counts="n_of_it")

    assert objects_of(["Ab_x"], counted).collections["Ab"].counts == "n_of_it"


def test_columns_that_are_not_plain_have_no_say():
    def types(name):
        plain = ColumnType(np.dtype(np.float32), True)
        return plain if name == "A_x" else None

    shapes = objects_of(["A_text", "A_x", "B_text"], types).collections
    assert shapes["A"].is_jagged
    assert not shapes["B"].is_jagged


@pytest.mark.parametrize(
    ("fields", "kind", "of"),
    [
        ("pt eta phi mass", "pt eta phi mass", "pt eta phi mass"),
        ("pt eta phi m", "pt eta phi mass", "pt eta phi m"),
        ("PT ETA PHI E", "pt eta phi energy", "PT ETA PHI E"),
        ("PX PY PZ PE", "px py pz energy", "PX PY PZ PE"),
        ("Px Py Pz E", "px py pz energy", "Px Py Pz E"),
        ("PX PY PZ M", "px py pz mass", "PX PY PZ M"),
        # Exact components first; lower case before upper; mass before m.
        ("pt eta phi mass px py pz energy", "px py pz energy", "px py pz energy"),
        ("pt PT eta ETA phi PHI m mass", "pt eta phi mass", "pt eta phi mass"),
        ("pt eta mass", None, None),
        ("pt eta phi", None, None),
    ],
)
def test_coordinates(fields, kind, of):
    shape = found(" ".join(f"Ab_{f}" for f in fields.split())).collections["Ab"]
    if kind is None:
        assert shape.coordinates is None
    else:
        assert shape.coordinates.kind == kind
        assert shape.coordinates.fields == tuple(of.split())
        assert list(shape.coordinates) == list(
            zip(kind.split(), of.split(), strict=True)
        )


def test_muons_of_physlite_have_the_mass_of_muons():
    branches = " ".join(f"AnalysisMuonsAuxDyn.{f}" for f in ("pt", "eta", "phi"))
    shapes = found(branches).collections
    assert shapes["Muons"] == shapes["Muon"]
    assert shapes["Muon"].coordinates.fields == ("pt", "eta", "phi", 105.6583755)


OWN = {
    "name": "mine",
    "pattern": r"(?P<field>[a-zA-Z]+)(?P<object>\d)",
    "aliases": {"first": "1"},
    "masses": {"1": 0.5},
}


def test_a_schema_of_ones_own():
    schema = schema_named(OWN, SCHEMAS)
    shape = found("pt1 eta1 phi1 pt2 E2 run", schema=schema).collections["first"]
    assert shape.name == "1"
    assert shape.coordinates.fields == ("pt", "eta", "phi", 0.5)
    assert hash(schema) == hash(Schema.from_mapping(OWN))


def test_a_schema_by_name():
    assert schema_named("lhcb", SCHEMAS) is SCHEMAS["lhcb"]
    assert schema_named(None, SCHEMAS) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nanoad", "no schema 'nanoad': did you mean nanoaod"),
        ({"patern": "x"}, "unknown key 'patern': expected pattern"),
        ({"pattern": "("}, r"pattern: expected a regular expression, got '\('"),
        ({"pattern": "(?P<object>x)"}, r"it needs the groups"),
        ({"marker": "["}, r"marker: expected a regular expression"),
        ({"pattern": 3}, r"pattern: expected a regular expression, got 3"),
        ({"counts": "n{object}"}, r"counts: expected a list of names, got 'n{object}'"),
        ({"anchors": ["PX"]}, r"anchors: expected a list of lists of names"),
        ({"aliases": ["Muon"]}, r"aliases: expected names for names of objects"),
        ({"masses": {"Muon": "heavy"}}, r"masses: expected numbers for names"),
        (3, r"schema: expected a name, or keys and values, got 3"),
    ],
)
def test_errors(given, message):
    with pytest.raises(DatasetError, match=message) as caught:
        schema_named(given, SCHEMAS)
    assert "\n" not in str(caught.value)
