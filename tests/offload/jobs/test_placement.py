import json
from dataclasses import replace

import pytest

from offload.jobs.placement import (
    Candidate,
    Chosen,
    Nowhere,
    SiteInfo,
    choose,
    obstacles,
    resource_of,
)
from offload.snapshot import Base

BASE = Base("x86_64", "glibc", "2.36", "/usr/bin/python3.11", "3.11.2")
FITS = SiteInfo(
    architecture="x86_64",
    libc="glibc",
    libc_version="2.36",
    pythons=(("/usr/bin/python3.11", "3.11.9"),),
    slices={"nvidia.com/mig-1g.5gb": 7},
    executors=("slurm",),
    max_time_s=7200,
    max_memory_bytes=4 * 2**30,
)


@pytest.mark.parametrize(
    ("site", "asked", "why"),
    [
        ({}, {}, None),
        ({}, {"slice": "1g.5gb"}, None),
        ({"libc_version": "2.40"}, {}, None),
        ({"architecture": "aarch64"}, {}, "is aarch64, the snapshot is for x86_64"),
        ({"libc": "musl"}, {}, "has musl, the snapshot needs glibc"),
        (
            {"libc_version": "2.9"},
            {},
            "has glibc 2.9, the snapshot needs at least 2.36",
        ),
        (
            {"pythons": (("/usr/bin/python3.9", "3.9.1"),)},
            {},
            "has no /usr/bin/python3.11, which the environment is made for",
        ),
        (
            {"pythons": (("/usr/bin/python3.11", "3.12.0"),)},
            {},
            "has Python 3.12.0 as /usr/bin/python3.11, the environment needs 3.11",
        ),
        (
            {},
            {"slice": "2g.10gb"},
            (
                "has no slice 2g.10gb (nvidia.com/mig-2g.10gb); it has: "
                "nvidia.com/mig-1g.5gb"
            ),
        ),
        (
            {"slices": {}},
            {"slice": "gpu"},
            "has no slice gpu (nvidia.com/gpu); it has: none",
        ),
        (
            {"executors": ("process",)},
            {"nodes": 2, "tasks": 2},
            "is one machine, 2 nodes were asked for",
        ),
        (
            {},
            {"time_s": 7201},
            "runs jobs for at most 7200 s, 7201 s were asked for",
        ),
        (
            {},
            {"memory_bytes": 5 * 2**30},
            "gives at most 4 GiB of memory, 5 GiB were asked for",
        ),
    ],
)
def test_a_site_is_legal_or_says_why_not(spec_of, site, asked, why) -> None:
    found = obstacles(spec_of(**asked), BASE, replace(FITS, **site))
    assert found == (() if why is None else (why,))


def test_what_a_site_does_not_say_is_not_checked(spec_of) -> None:
    assert obstacles(spec_of(slice="gpu"), BASE, SiteInfo()) == ()


def test_an_interpreter_of_its_own_needs_no_python_there(spec_of) -> None:
    base = replace(BASE, python=None)
    assert obstacles(spec_of(), base, replace(FITS, pythons=())) == ()


A = Candidate("a", FITS, load=3)
B = Candidate("b", FITS, load=1)
OLD = Candidate("old", replace(FITS, libc_version="2.17"))
NEW = Candidate("new", None)


@pytest.mark.parametrize(
    ("named", "sites", "expected"),
    [
        (None, (A, B), Chosen("b", "can run it, 1 queued or running there")),
        ("a", (A, B), Chosen("a", "named at submission")),
        (None, (A,), Chosen("a", "the only site")),
        (None, (A, replace(B, load=3)), "a"),
        (None, (OLD, A), "a"),
        (None, (replace(B, pause="no route"), A), "a"),
        ("x", (A, B), Nowhere("site 'x': no such site; there are: a, b", True)),
        (
            "old",
            (OLD, A),
            Nowhere("old: has glibc 2.17, the snapshot needs at least 2.36", True),
        ),
        (
            None,
            (OLD, NEW),
            Nowhere(
                "old: has glibc 2.17, the snapshot needs at least 2.36 | "
                "new: not reached yet",
                False,
            ),
        ),
        (
            "b",
            (A, replace(B, pause="its key ended")),
            Nowhere("b: its key ended", False),
        ),
    ],
)
def test_the_named_or_the_least_loaded_legal_site(
    spec_of, named, sites, expected
) -> None:
    found = choose(spec_of(site=named), BASE, sites)
    assert (found.site if isinstance(expected, str) else found) == expected


@pytest.mark.parametrize(
    ("slice_", "resource"),
    [
        ("gpu", "nvidia.com/gpu"),
        ("1g.5gb", "nvidia.com/mig-1g.5gb"),
        ("1g.5gb+me", "nvidia.com/mig-1g.5gb.me"),
        ("amd.com/gpu", "amd.com/gpu"),
    ],
)
def test_slices_are_kubernetes_resources(slice_, resource) -> None:
    assert resource_of(slice_) == resource


def test_what_a_site_says_is_read_from_the_wire() -> None:
    text = json.dumps(
        {
            "version": "1",
            "architecture": "x86_64",
            "libc": "glibc",
            "libc_version": "2.36",
            "pythons": [{"path": "/usr/bin/python3.11", "version": "3.11.9"}],
            "slices": {"nvidia.com/mig-1g.5gb": 7},
            "executors": ["slurm"],
            "limits": {"max_time_s": 7200, "max_memory_bytes": 4 * 2**30},
        }
    )
    assert SiteInfo.from_json(text) == FITS
    assert SiteInfo.from_json('{"version": "1"}') == SiteInfo()
