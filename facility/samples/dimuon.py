"""A large made-up sample of dimuon events, the same for the same seed.

NanoAOD's names and layout (``nMuon``, ``Muon_pt`` ...), so that an analysis of it
reads like one of real data. SIMULATION without a detector: a Z line shape, a falling
background, momenta smeared by 1.5 %. For rates and tests, not for physics.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot

from facility.samples.cache import cache_dir, draft, ensure_space

Floats = npt.NDArray[np.float32]

Z_MASS_GEV = 91.1880
"""R. L. Workman et al. (Particle Data Group), Review of Particle Physics 2024."""
Z_WIDTH_GEV = 2.4955
"""The same source."""
MUON_MASS_GEV = 0.105658
RESOLUTION = 0.015
"""Relative Gaussian smearing of each transverse momentum."""
PER_CLUSTER = 500_000
"""Events per cluster, hence per basket: one coarse chunk reads whole baskets."""
BYTES_PER_EVENT = 48
"""Upper bound of the size on disk."""
MULTIPLICITY = (0.03, 0.10, 0.70, 0.12, 0.05)
"""Probability of 0, 1, 2, 3 and 4 muons."""
COLUMNS = {
    "pt": "float32",
    "eta": "float32",
    "phi": "float32",
    "mass": "float32",
    "charge": "int32",
}
LAYOUT = 1
"""Part of the cache key: goes up when the same parameters give another file."""


@dataclass(frozen=True, slots=True)
class DimuonParameters:
    """What a generated file is a function of."""

    events: int = 4_000_000
    seed: int = 1
    signal: float = 0.8
    """Fraction of pairs from the Z."""

    @property
    def digest(self) -> str:
        """Key in the cache."""
        text = json.dumps(asdict(self) | {"layout": LAYOUT}, sort_keys=True)
        return sha256(text.encode()).hexdigest()


def generate(parameters: DimuonParameters | None = None) -> Path:
    """Return the file of these parameters, written first if it is not in the cache.

    Tree ``Events``: ``nMuon`` (int32) and jagged ``Muon_pt`` [GeV], ``Muon_eta``,
    ``Muon_phi``, ``Muon_mass`` [GeV] (float32), ``Muon_charge`` (int32); ZSTD.

    Raises:
        UsageError: the disk is full.
    """
    parameters = parameters or DimuonParameters()
    name = f"dimuon-{parameters.events}-{parameters.seed}.root"
    target = cache_dir() / parameters.digest / name
    if not target.is_file():
        ensure_space(target, parameters.events * BYTES_PER_EVENT)
        with draft(target) as path:
            write(path, parameters)
    return target


def write(path: Path, parameters: DimuonParameters) -> None:
    """Write the sample, a cluster at a time (each from a random stream of its own)."""
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        tree = file.mktree(
            "Events",
            {"Muon": f"var * {{{', '.join(f'{n}: {t}' for n, t in COLUMNS.items())}}}"},
            title="made-up dimuon events (SIMULATION)",
        )
        clusters = range(0, parameters.events, PER_CLUSTER)
        for index, start in enumerate(clusters):
            count = min(PER_CLUSTER, parameters.events - start)
            rng = np.random.default_rng([parameters.seed, index])
            tree.extend(_cluster(rng, count, parameters.signal))


def _cluster(
    rng: np.random.Generator, events: int, signal: float
) -> dict[str, ak.Array]:
    muons = rng.choice(
        np.arange(5, dtype=np.int32), size=events, p=np.asarray(MULTIPLICITY)
    )
    offsets = np.concatenate(([0], np.cumsum(muons, dtype=np.int64)))
    total = int(offsets[-1])
    pt = (3 + rng.exponential(6.0, total)).astype(np.float32)
    eta = rng.uniform(-2.4, 2.4, total).astype(np.float32)
    phi = rng.uniform(-np.pi, np.pi, total).astype(np.float32)
    charge = rng.integers(0, 2, total, dtype=np.int32) * 2 - 1
    # The first two muons of an event are the pair, others are soft.
    first = offsets[:-1][muons >= 2]
    for slot, (pair_pt, pair_eta, pair_phi) in enumerate(
        _pairs(rng, len(first), signal)
    ):
        pt[first + slot] = pair_pt
        eta[first + slot] = pair_eta
        phi[first + slot] = pair_phi
    same_sign = rng.random(len(first)) < 0.02
    charge[first + 1] = np.where(same_sign, charge[first], -charge[first])
    columns = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "mass": np.full(total, MUON_MASS_GEV, dtype=np.float32),
        "charge": charge,
    }
    records = ak.contents.RecordArray(
        [ak.contents.NumpyArray(columns[name]) for name in COLUMNS], list(COLUMNS)
    )
    jagged = ak.contents.ListOffsetArray(ak.index.Index64(offsets), records)
    return {"Muon": ak.Array(jagged)}


def _pairs(
    rng: np.random.Generator, count: int, signal: float
) -> tuple[tuple[Floats, Floats, Floats], ...]:
    """Return (pt, eta, phi) of both muons of decays, isotropic in the rest frame."""
    is_signal = rng.random(count) < signal
    line = Z_MASS_GEV + Z_WIDTH_GEV / 2 * rng.standard_cauchy(count)
    falling = 40 + rng.exponential(35.0, count)
    mass = np.where(is_signal & (np.abs(line - Z_MASS_GEV) < 50), line, falling)
    momentum = mass / 2  # of each muon in the rest frame; its mass is negligible here
    cos = rng.uniform(-1, 1, count)
    sin = np.sqrt(1 - cos**2)
    azimuth = rng.uniform(0, 2 * np.pi, count)
    p_x, p_y, p_z = (
        momentum * sin * np.cos(azimuth),
        momentum * sin * np.sin(azimuth),
        momentum * cos,
    )
    # Boost of the pair along x by its transverse momentum, then along z by rapidity.
    boost_pt = rng.exponential(12.0, count)
    gamma_x = np.hypot(boost_pt, mass) / mass
    rapidity = np.clip(rng.normal(0.0, 1.1, count), -2.5, 2.5)
    turn = rng.uniform(-np.pi, np.pi, count)
    muons: list[tuple[Floats, Floats, Floats]] = []
    for sign in (1.0, -1.0):
        energy = gamma_x * momentum + boost_pt / mass * sign * p_x
        along = gamma_x * sign * p_x + boost_pt / mass * momentum
        z = np.cosh(rapidity) * sign * p_z + np.sinh(rapidity) * energy
        pt = np.hypot(along, p_y)
        smeared = pt * rng.normal(1.0, RESOLUTION, count)
        phi = np.remainder(np.arctan2(sign * p_y, along) + turn, 2 * np.pi) - np.pi
        muons.append(
            (
                np.maximum(smeared, 0.1).astype(np.float32),
                np.arcsinh(z / pt).astype(np.float32),
                phi.astype(np.float32),
            )
        )
    return tuple(muons)
