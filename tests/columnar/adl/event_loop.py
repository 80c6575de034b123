"""The eight queries by one slow loop over events: no array, no code of ours.

An event is a dict: ``MET_pt``, ``MET_phi`` and the lists of dicts ``Jet``, ``Muon``,
``Electron``. What is compared is watched by a `Margin`: where two engines may differ
by a rounding, a made-up event proves nothing.
"""

from __future__ import annotations

import math
from itertools import combinations

BINNING = {
    "1": (0, 2000),
    "2": (15, 60),
    "3": (15, 60),
    "4": (0, 2000),
    "5": (0, 2000),
    "6a": (15, 40),
    "6b": (0, 1),
    "7": (15, 200),
    "8": (15, 250),
}
"""Lower and upper end of each histogram of 100 bins."""
BINS = 100
ROUNDING = 1e-9
"""Two engines may differ by less: further away, all must decide alike."""
COMPUTED = {"6a", "7", "8"}
"""Histograms of what is computed; the others are of what is in the file."""


class Margin:
    """How near what was computed came to where a decision changes, relatively."""

    def __init__(self):
        self.smallest = math.inf

    def watch(self, value, *limits):
        for limit in limits:
            if math.isfinite(value):
                distance = abs(value - limit) / max(1, abs(limit))
                self.smallest = min(self.smallest, distance)
        return value


def histograms(events, margin=None):
    """Return the counts of every histogram by its name."""
    margin = margin or Margin()
    counts = {name: [0] * BINS for name in BINNING}
    for event in events:
        for name, value in entries(event, margin):
            low, high = BINNING[name]
            if name in COMPUTED:
                edges = (low + i * (high - low) / BINS for i in range(BINS + 1))
                margin.watch(value, *edges)
            # The arithmetic that boost-histogram documents for a regular axis.
            place = (value - low) / (high - low)
            if 0 <= place < 1:
                counts[name][int(place * BINS)] += 1
    return counts


def entries(event, margin):
    """Yield what one event adds: name of the histogram and value."""
    yield "1", event["MET_pt"]
    for jet in event["Jet"]:
        yield "2", jet["pt"]
        if abs(jet["eta"]) < 1:
            yield "3", jet["pt"]
    if sum(1 for jet in event["Jet"] if jet["pt"] > 40) >= 2:
        yield "4", event["MET_pt"]
    if has_dimuon(event["Muon"], margin):
        yield "5", event["MET_pt"]
    three = best_trijet(event["Jet"], margin)
    if three is not None:
        momentum = total(three)
        yield "6a", math.hypot(momentum[1], momentum[2])
        yield "6b", max(jet["btag"] for jet in three)
    clean = [
        jet["pt"]
        for jet in event["Jet"]
        if jet["pt"] > 30 and not is_near_lepton(jet, event, margin)
    ]
    if clean:
        yield "7", sum(clean)
    transverse = lepton_and_met(event, margin)
    if transverse is not None:
        yield "8", transverse


def four_momentum(particle):
    pt, eta, phi, mass = (particle[name] for name in ("pt", "eta", "phi", "mass"))
    along = pt * math.sinh(eta)
    energy = math.sqrt(pt * pt + along * along + mass * mass)
    return energy, pt * math.cos(phi), pt * math.sin(phi), along


def total(particles):
    energy = x = y = z = 0.0
    for particle in particles:
        e, p_x, p_y, p_z = four_momentum(particle)
        energy, x, y, z = energy + e, x + p_x, y + p_y, z + p_z
    return energy, x, y, z


def mass_of(particles):
    energy, x, y, z = total(particles)
    squared = energy * energy - x * x - y * y - z * z
    return math.nan if math.isnan(squared) else math.sqrt(max(0.0, squared))


def turn(phi1, phi2):
    """Return the difference of two angles, from -pi to pi."""
    difference = phi1 - phi2
    while difference > math.pi:
        difference -= 2 * math.pi
    while difference < -math.pi:
        difference += 2 * math.pi
    return difference


def has_dimuon(muons, margin):
    found = False
    for first, second in combinations(muons, 2):
        if first["charge"] != second["charge"]:
            mass = margin.watch(mass_of((first, second)), 60, 120)
            found = found or 60 < mass < 120
    return found


def best_trijet(jets, margin):
    return closest(combinations(jets, 3), 172.5, margin)


def closest(candidates, target, margin):
    """Return the first of the candidates whose mass is closest; none without mass."""
    best, smallest = None, math.inf
    watched = []
    for candidate in candidates:
        distance = abs(mass_of(candidate) - target)
        if distance < smallest:
            best, smallest = candidate, distance
        watched.append((candidate, distance))
    for candidate, distance in watched:
        # Equal momenta in equal order give the same bits everywhere: a true tie.
        if best is not None and momenta(candidate) != momenta(best):
            margin.watch(distance, smallest)
    return best


def momenta(particles):
    return [[p[name] for name in ("pt", "eta", "phi", "mass")] for p in particles]


def is_near_lepton(jet, event, margin):
    near = False
    for lepton in event["Muon"] + event["Electron"]:
        if lepton["pt"] > 10:
            eta = jet["eta"] - lepton["eta"]
            phi = turn(jet["phi"], lepton["phi"])
            distance = margin.watch(math.sqrt(eta * eta + phi * phi), 0.4)
            near = near or distance < 0.4
    return near


def lepton_and_met(event, margin):
    """Return the transverse mass of MET and the hardest lepton beside the pair."""
    muons, electrons = event["Muon"], event["Electron"]
    if len(muons) + len(electrons) < 3:
        return None
    candidates = [
        pair
        for flavour in (muons, electrons)
        for pair in combinations(flavour, 2)
        if pair[0]["charge"] != pair[1]["charge"]
    ]
    pair = closest(candidates, 91.2, margin)
    if pair is None:
        return None
    hardest = {"pt": -math.inf}
    for lepton in muons + electrons:
        in_pair = lepton is pair[0] or lepton is pair[1]
        if not in_pair and lepton["pt"] > hardest["pt"]:
            hardest = lepton
    if hardest["pt"] == -math.inf:  # all others are NaN
        return None
    cosine = math.cos(event["MET_phi"] - hardest["phi"])
    squared = 2 * event["MET_pt"] * hardest["pt"] * (1 - cosine)
    return math.nan if math.isnan(squared) else math.sqrt(max(0.0, squared))
