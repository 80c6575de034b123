"""Chunks that cannot be read end the run, or are skipped and counted, everywhere."""

import shutil

import hist
import numpy as np
import pytest
import uproot

from facility.columnar import ChunkError, Dataset, Processes, ReadError
from facility.errors import UsageError


@pytest.fixture(scope="module")
def damaged(ttree, tmp_path_factory):
    """A file in which the baskets of entries 300..400 and 800..900 are overwritten."""
    path = shutil.copy(ttree, tmp_path_factory.mktemp("damaged") / "data.root")
    with uproot.open(path) as file:
        branch = file["Events/Muon_pt"]
        places = [int(branch.member("fBasketSeek")[i]) for i in (3, 8)]
        sizes = [int(branch.member("fBasketBytes")[i]) for i in (3, 8)]
    content = bytearray(path.read_bytes())
    for place, size in zip(places, sizes, strict=True):
        # Behind the basket's key, which says how long it is.
        content[place + size // 2 : place + size] = bytes(size - size // 2)
    path.write_bytes(content)
    return path


def weighted(events):
    sums = np.asarray(events.nMuon) * 1.0
    for at, momenta in enumerate(events.Muon_pt):
        sums[at] += sum(momenta.tolist())
    axis = hist.axis.Regular(5, 0, 300, name="n")
    return hist.Hist(axis, storage=hist.storage.Weight()).fill(
        sums, weight=1 / (1 + sums)
    )


PLACES = ["serial", "threads", pytest.param(Processes(2), id="processes")]


@pytest.mark.parametrize("on", PLACES)
def test_a_chunk_that_cannot_be_read_ends_the_run(damaged, on):
    with pytest.raises(ReadError, match="data.root: .*Muon_pt") as caught:
        Dataset(damaged, chunk_events=100).run(weighted, on=on, progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("on", PLACES)
def test_or_is_skipped_and_counted_and_the_rest_is_the_same_bits(damaged, ttree, on):
    dataset = Dataset(damaged, chunk_events=100)
    result = dataset.run(weighted, on=on, on_error="skip", progress=False)
    assert [c.index for c in result.provenance.skipped] == [3, 8]
    assert result.provenance.events == 850
    assert "chunks skipped: 2 of 11 (events: 200)" in str(result)
    assert all("Muon_pt" in why for why in result.provenance.skipped.values())

    def readable(events):
        is_whole = len(events) == 0 or events._start not in (300, 800)
        return weighted(events) if is_whole else weighted(events).reset()

    whole = Dataset(ttree, chunk_events=100).run(readable, progress=False)
    assert result.hist.view(flow=True).tobytes() == whole.hist.view(flow=True).tobytes()


def test_if_all_are_skipped_nothing_is_the_result(damaged):
    dataset = Dataset(damaged, chunk_events=2000)
    with pytest.raises(ChunkError, match=r"all chunks were skipped \(1\)") as caught:
        dataset.run(weighted, on="serial", on_error="skip", progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("on", PLACES)
def test_a_mistake_in_the_analysis_is_never_skipped(ttree, on):
    def fails(events):
        return 1 / (len(events) == 0)

    with pytest.raises(ChunkError, match="ZeroDivisionError"):
        Dataset(ttree).run(fails, on=on, on_error="skip", progress=False)


def test_what_cannot_be_done_with_errors_is_refused(ttree):
    with pytest.raises(UsageError, match="expected 'raise' or 'skip'"):
        Dataset(ttree).run(len, on_error="ignore", progress=False)
