"""The registry is consistent with itself."""

import pytest

from facility.errors import UsageError
from facility.samples import SAMPLES, Kind, sample


def test_names_and_contents_are_unique():
    assert len({s.name for s in SAMPLES}) == len(SAMPLES)
    assert len({s.sha256 for s in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("one", SAMPLES, ids=lambda s: s.name)
def test_each_sample_is_pinned_and_labelled(one):
    for digest in (one.sha256, one.package.sha256):
        assert len(bytes.fromhex(digest)) == 32
    assert one.package.version in one.package.filename
    assert one.size_bytes > 10_000
    assert len(one.citation) > 50
    if one.kind is Kind.SIMULATION:
        assert "simul" in (one.citation + one.title).lower()


def test_no_host_is_named():
    from pathlib import Path

    import facility.samples

    for path in Path(facility.samples.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert "://" not in text
        assert "pypi.org" not in text


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean .*\bzmumu\b"):
        sample("Zmumu ")
