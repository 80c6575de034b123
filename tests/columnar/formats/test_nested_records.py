"""An RNTuple with lists of records, as uproot writes a zipped array: not plain, but read."""

import awkward as ak
import numpy as np
import uproot

from facility.columnar import Dataset


def test_records_in_lists_are_read_as_records(tmp_path):
    counts = np.array([1, 2, 0])
    muons = ak.zip(
        {name: ak.unflatten(np.arange(3.0), counts) for name in ("pt", "eta")}
    )
    with uproot.recreate(tmp_path / "nested.root") as file:
        file.mkrntuple("Events", {"Muon": muons, "weight": np.ones(3)})
    dataset = Dataset(tmp_path / "nested.root")

    def momenta(events):
        return ak.to_list(events["Muon"].pt)

    assert dataset.run(momenta, progress=False).value == [[0.0], [1.0, 2.0], []]
