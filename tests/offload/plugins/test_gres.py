import pytest

from offload.plugins.errors import ImpossibleRequestError
from offload.plugins.gres import gres_option, read_gres, slices_of
from offload.plugins.requests import Request

MIG = "nvidia.com/mig-1g.5gb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(null)", {}),
        ("gpu:2", {"gpu": 2}),
        ("gpu:a100:4", {"gpu:a100": 4}),
        ("gpu:a100_1g.5gb:7", {"gpu:a100_1g.5gb": 7}),
        ("gpu:a100_1g.5gb:7(S:0-1),gpu:a100:1", {"gpu:a100_1g.5gb": 7, "gpu:a100": 1}),
        ("gpu:h100:2(S:0,2),shard:8", {"gpu:h100": 2, "shard": 8}),
        ("craynetwork:4,gpu:1", {"craynetwork": 4, "gpu": 1}),
        ("bandwidth:1K", {"bandwidth": 1024}),
    ],
)
def test_gres_of_a_node(text, expected):
    assert read_gres(text) == expected


def test_types_that_end_in_a_profile_are_slices():
    found = slices_of({}, ["gpu:a100_1g.5gb", "gpu:2g.10gb", "gpu:a100", "shard"])
    assert found == {
        MIG: "gpu:a100_1g.5gb",
        "nvidia.com/mig-2g.10gb": "gpu:2g.10gb",
        "nvidia.com/gpu": "gpu",
    }


def test_what_the_site_says_stands_above():
    found = slices_of({"1g.5gb": "gpu:mine"}, ["gpu:a100_1g.5gb"])
    assert found == {MIG: "gpu:mine"}


def test_option():
    slices = {MIG: "gpu:a100_1g.5gb", "nvidia.com/gpu": "gpu"}
    asked = Request(devices={MIG: 3, "nvidia.com/gpu": 1}, nodes=2)
    assert gres_option(asked, slices) == ("--gres=gpu:a100_1g.5gb:2,gpu:1",)
    assert gres_option(Request(), slices) == ()


def test_a_slice_that_the_site_has_not():
    asked = Request(devices={"nvidia.com/mig-1g.6gb": 1})
    words = r"no slice '1g.6gb'; it has: 1g.5gb; did you mean '1g.5gb'\?"
    with pytest.raises(ImpossibleRequestError, match=words):
        gres_option(asked, {MIG: "gpu"})
    with pytest.raises(ImpossibleRequestError, match="it has: none"):
        gres_option(asked, {})
