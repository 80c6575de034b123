"""Which samples there are: whose, from which package, and the sha256 of each.

They are others' work: nothing of them is in this repository. Cite ``citation``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from facility.errors import UsageError


class Kind(StrEnum):
    """What the events are."""

    DATA = "data"
    """Recorded collisions."""
    SIMULATION = "simulation"
    """Generated events: never to be shown as collisions."""


class Experiment(StrEnum):
    """Whose detector, real or simulated."""

    ATLAS = "ATLAS"
    CMS = "CMS"
    DELPHES = "Delphes"


@dataclass(frozen=True, slots=True)
class Package:
    """One file of one release on the Python package index."""

    project: str
    version: str
    filename: str
    sha256: str
    root: str
    """Folder inside the archive that members are relative to; may be empty."""
    licence: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One file inside a package, identified by the sha256 of its bytes."""

    name: str
    package: Package
    member: str
    sha256: str
    size_bytes: int
    kind: Kind
    experiment: Experiment
    title: str
    citation: str

    @property
    def filename(self) -> str:
        """File name in the cache: that of the member."""
        return self.member.rpartition("/")[2]


TESTDATA = Package(
    project="scikit-hep-testdata",
    version="0.3.12",  # the last release that has the files inside
    filename="scikit_hep_testdata-0.3.12-py2.py3-none-any.whl",
    sha256="7abaef737a5111d955c551469dce8075ad74014ed8d535d184f1f2cf4864b51a",
    root="",
    licence="package BSD-3-Clause",
)
COFFEA = Package(
    project="coffea",
    version="2026.9.0",
    filename="coffea-2026.9.0.tar.gz",
    sha256="7dfc1b54d9d1533c8a5bd8a5786d13272ea1a170b0817061d4478f721aedae04",
    root="coffea-2026.9.0/",
    licence="package BSD-3-Clause",
)

# Run2010B by run number: 2011 began with run 160404 (CERN Open Data record 17).
_ZMUMU = (
    "CMS Collaboration, proton-proton collisions at 7 TeV, runs 148029 and 148031 "
    "(Run2010B), as CERN Open Data (CC0); the derived dimuon sets are described in "
    "T. McCauley (2014), doi:10.7483/OPENDATA.CMS.CB8H.MFFA. File from "
    "scikit-hep-testdata 0.3.12. 2304 rows are pairs of muon tracks of 500 distinct "
    "(Run, Event)."
)
_HZZ = (
    "SIMULATION with event weights and generator truth in the CMS detector, from "
    "scikit-hep-testdata 0.3.12 (originally an example file of uproot)."
)
_NANO = (
    "CMS Collaboration, NanoAOD excerpt, from the tests of coffea 2026.9.0 "
    "(L. Gray, N. Smith et al., doi:10.5281/zenodo.3266454)."
)
_PHYSLITE = (
    "ATLAS Collaboration, DAOD_PHYSLITE excerpt of simulated events, from the tests "
    "of coffea 2026.9.0 (L. Gray, N. Smith et al., doi:10.5281/zenodo.3266454)."
)
_DELPHES = (
    "Delphes fast simulation (J. de Favereau et al., doi:10.1007/JHEP02(2014)057), "
    "from the tests of coffea 2026.9.0."
)


def _compressed(
    first: Sample, title: str, others: dict[str, tuple[str, int]]
) -> Iterator[Sample]:
    """Yield a sample, and its events compressed in other ways: sha256 and size."""
    yield first
    for way, (sha256, size_bytes) in others.items():
        yield replace(
            first,
            name=f"{first.name}-{way}",
            member=first.member.replace(".root", f"-{way}.root"),
            sha256=sha256,
            size_bytes=size_bytes,
            title=f"{title} ({way})",
        )


SAMPLES = (
    *_compressed(
        Sample(
            name="zmumu",
            package=TESTDATA,
            member="skhep_testdata/data/uproot-Zmumu.root",
            sha256="8290ddc1f2b1f866f30df016558936da27107f7f5b87e574c741f2baab1bad64",
            size_bytes=178971,
            kind=Kind.DATA,
            experiment=Experiment.CMS,
            title="Z to two muons, data, 500 events",
            citation=_ZMUMU,
        ),
        "Z to two muons, data",
        {
            "zstd": (
                "c504a3dbe5f26986019093ebd47b236c3dcc3d7bd847610c91bfabce56209f1a",
                174905,
            ),
            "lz4": (
                "9d860d855bfdba560d9cfb7ef5f27caf7fd16e74863aaee639dc7fe1204fe1a4",
                212813,
            ),
            "zlib": (
                "046c544bf7587fb817f3f09ba7e2b1e830d030ea1ebba52a5ddba208b15df62c",
                179005,
            ),
            "lzma": (
                "b9944821bf5c6380ea6c09dc8811fe831188fd29653aad8a8f30addcfd9bb1af",
                168916,
            ),
            "uncompressed": (
                "15416a7dbc8beaee4b400a1760693c2cb17d42138b55fe0e483705437ef383fd",
                345874,
            ),
        },
    ),
    *_compressed(
        Sample(
            name="hzz",
            package=TESTDATA,
            member="skhep_testdata/data/uproot-HZZ.root",
            sha256="baa852f7b801eee0fb7234f44864a20808d17d84fa44e712072fa881c423ad46",
            size_bytes=217945,
            kind=Kind.SIMULATION,
            experiment=Experiment.CMS,
            title="H to ZZ, weighted simulation",
            citation=_HZZ,
        ),
        "H to ZZ, simulation",
        {
            "zstd": (
                "d758791f28ac6120cd06a7099dd7ab5e03c5ecc5d0f3de4f75743841791ba9d2",
                225552,
            ),
            "lz4": (
                "73e401455c6824cff56790ffc179ebe60d4bdd4f573a4d085daddcabd977cc87",
                286260,
            ),
            "zlib": (
                "8ae0f4d39bbba9bc1d3feab721ba7a8720837a0f344a29873fcc0c0bbe92c9a7",
                222324,
            ),
            "lzma": (
                "770e3a54b13c5cb7378b994f13d263ba83b811f9089bd730aa26440a0dd2a4ac",
                184196,
            ),
            "uncompressed": (
                "789930081ff7f6f9eb70432c5b9b256d80d366b23ba0d807d3e01bbe10405e52",
                681925,
            ),
        },
    ),
    Sample(
        name="nano-dimuon",
        package=COFFEA,
        member="tests/samples/nano_dimuon.root",
        sha256="eac7c0a973e054e890766ec4c61ca784d3d49e4f82ec0c8b9dfbe55c233297a9",
        size_bytes=350812,
        kind=Kind.DATA,
        experiment=Experiment.CMS,
        title="NanoAOD of 2018 data",
        citation=_NANO,
    ),
    Sample(
        name="nano-dimuon-rntuple",
        package=COFFEA,
        member="tests/samples/nano_dimuon_rntuple.root",
        sha256="d7ab1b589de7174ff08a31522040b8c3313686d3b43c4b23305bc42ed81ea6cb",
        size_bytes=74946,
        kind=Kind.DATA,
        experiment=Experiment.CMS,
        title="The same data as RNTuple",
        citation=_NANO,
    ),
    Sample(
        name="nano-dy",
        package=COFFEA,
        member="tests/samples/nano_dy.root",
        sha256="159b17b34b4d13ea4960d36fb9b01f2a505cc1a5a8de0fb3cfa185154543c81c",
        size_bytes=352599,
        kind=Kind.SIMULATION,
        experiment=Experiment.CMS,
        title="NanoAOD, Drell-Yan simulation",
        citation=_NANO,
    ),
    Sample(
        name="nano-dy-rntuple",
        package=COFFEA,
        member="tests/samples/nano_dy_rntuple.root",
        sha256="b0adca6eec90dc3ec73ec139d39a0929a3e08db825ef4df5691e6c03b792a3d6",
        size_bytes=86153,
        kind=Kind.SIMULATION,
        experiment=Experiment.CMS,
        title="The same simulation as RNTuple",
        citation=_NANO,
    ),
    Sample(
        name="nano-tt-v12",
        package=COFFEA,
        member="tests/samples/nano_tt_v12.root",
        sha256="bc9afdac1e5e1bf820f79e4f8d4942c893ed2accfcb2e49bb63b69727b59af3b",
        size_bytes=980772,
        kind=Kind.SIMULATION,
        experiment=Experiment.CMS,
        title="NanoAOD v12, top pair simulation",
        citation=_NANO,
    ),
    Sample(
        name="nano-tt-v15",
        package=COFFEA,
        member="tests/samples/nano_tt_v15.root",
        sha256="0ee769872082459bf2ccbef08b916c26b3070b64969812aea4d75a0cfa006256",
        size_bytes=2876917,
        kind=Kind.SIMULATION,
        experiment=Experiment.CMS,
        title="NanoAOD v15, top pair simulation",
        citation=_NANO,
    ),
    Sample(
        name="physlite-example",
        package=COFFEA,
        member="tests/samples/PHYSLITE_example.root",
        sha256="6ebbafb5a1f72ca0b6fa47de73c28906101997e6f8a58d97536e4c040a15aa0b",
        size_bytes=1641551,
        kind=Kind.SIMULATION,
        experiment=Experiment.ATLAS,
        title="DAOD_PHYSLITE, simulation",
        citation=_PHYSLITE,
    ),
    Sample(
        name="delphes",
        package=COFFEA,
        member="tests/samples/delphes.root",
        sha256="af2ea9ad3982751f6fec7b39b6be8a35dbae9a4244cfb56fbd35ae5b9d5bd7ea",
        size_bytes=5431177,
        kind=Kind.SIMULATION,
        experiment=Experiment.DELPHES,
        title="Delphes fast simulation",
        citation=_DELPHES,
    ),
)


def sample(name: str) -> Sample:
    """Return the sample of that name.

    Raises:
        UsageError: there is none; the nearest names are in the message.
    """
    by_name = {s.name: s for s in SAMPLES}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise UsageError(
        f"sample {name!r} is not known: {hint}`facility samples list` shows all"
    )
