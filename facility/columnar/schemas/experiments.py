"""The schemas that come along: what the experiments write."""

from __future__ import annotations

from types import MappingProxyType

from facility.columnar.schemas.schema import Schema

NANOAOD = Schema(
    "nanoaod",
    marker=r"n(?:Muon|Electron|Photon|Tau|Jet|FatJet|GenPart)",
    counts=("n{object}",),
)
"""CMS: ``Muon_pt``, ``nMuon``; GeV. Documented at cms-nanoAOD-mc's branch lists."""

PHYSLITE = Schema(
    "physlite",
    # Containers are called AnalysisMuons; their kin of other origin just TruthMuons.
    pattern=r"(?:Analysis)?(?P<object>\w+?)Aux(?:Dyn)?\.(?P<field>[\w.]+)",
    marker=r"\w+AuxDyn\.\w+",
    aliases=(
        ("Muon", "Muons"),
        ("Electron", "Electrons"),
        ("Photon", "Photons"),
        ("Jet", "Jets"),
        ("Tau", "TauJets"),
        ("FatJet", "LargeRJets"),
    ),
    # The container has no mass. Particle Data Group, Summary Tables, leptons.
    masses=(("Muons", 105.6583755),),
)
"""ATLAS: ``AnalysisMuonsAuxDyn.pt``; MeV."""

LHCB = Schema(
    "lhcb",
    pattern=r"(?P<object>\w+?)_(?P<field>\w+)",
    marker=r"\w+_PX",
    anchors=(("PX", "PY", "PZ"), ("PT", "ETA", "PHI")),
)
"""LHCb: one candidate per row, ``B_PX``, ``mu_plus_PE``; MeV."""

INFERRED = Schema(
    "inferred",
    pattern=r"(?P<object>[^\W_]+)[_.](?P<field>[\w.]+)",
    counts=("n{object}", "N{object}", "{object}_size", "{object}_n"),
    anchors=(("px", "py", "pz"), ("Px", "Py", "Pz"), ("pt", "eta", "phi")),
)
"""Anything else: what is before the first ``_`` or ``.`` is the object."""

SCHEMAS = MappingProxyType({s.name: s for s in (PHYSLITE, LHCB, NANOAOD, INFERRED)})
"""By name, in the order in which their markers are looked for."""
