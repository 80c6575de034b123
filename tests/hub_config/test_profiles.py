from html.parser import HTMLParser

import pytest

from facility.errors import UsageError
from facility.spec import Facility
from hub_config.profiles import chosen, options_form, options_from_form

SPEC = Facility.model_validate(
    {
        "groups": {"gpu": {"users": ["anna"]}},
        "profiles": [
            {"name": "small", "title": "Small <one>"},
            {"name": "large", "server": {"cores": 4, "memory": "8 GiB"}},
            {"name": "gpu", "groups": ["gpu"]},
        ],
    }
)


@pytest.mark.parametrize(
    ("user", "options", "name"),
    [
        ("bert", {}, "small"),
        ("bert", {"profile": "large"}, "large"),
        ("anna", {"profile": "gpu"}, "gpu"),
    ],
)
def test_the_option_names_the_profile_and_the_first_is_the_default(user, options, name):
    assert chosen(SPEC, user, options).name == name


@pytest.mark.parametrize("name", ["gpu", "", "../small", ["small"], 1])
def test_a_profile_that_is_not_offered_is_refused_with_the_offer(name):
    with pytest.raises(UsageError, match=r"for 'bert': choose one of small, large$"):
        chosen(SPEC, "bert", {"profile": name})


def test_nothing_to_choose_means_no_form():
    assert options_form(SPEC.profiles_of("bert")[:1]) == ""
    assert options_form(()) == ""


class _Radios(HTMLParser):
    def __init__(self):
        super().__init__()
        self.values = []
        self.checked = []

    def handle_starttag(self, tag, attrs):
        if tag == "input":
            self.values.append(dict(attrs)["value"])
            if "checked" in dict(attrs):
                self.checked.append(dict(attrs)["value"])


def test_the_form_offers_the_users_profiles_and_escapes_their_texts():
    form = options_form(SPEC.profiles_of("anna"))
    radios = _Radios()
    radios.feed(form)
    assert radios.values == ["small", "large", "gpu"]
    assert radios.checked == ["small"]
    assert "Small &lt;one&gt;" in form
    assert "4 cores, 8 GiB" in form


@pytest.mark.parametrize(
    ("form", "options"),
    [({"profile": ["large"]}, {"profile": "large"}), ({}, {}), ({"other": ["x"]}, {})],
)
def test_the_submitted_form_becomes_options(form, options):
    assert options_from_form(form) == options
