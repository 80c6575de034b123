"""coffea: NanoEvents in virtual mode, its vectors, and arrays of them."""

import awkward as ak
import boost_histogram as bh
import numpy as np
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
from serving import serve
from uproot.source.file import MemmapSource

STEP = {6: 50_000}
NanoAODSchema.warn_missing_crossrefs = False
NanoAODSchema.error_missing_event_ids = False


def chunks(path, query):
    step = STEP.get(query, 500_000)
    with uproot.open(path, array_cache=None, handler=MemmapSource) as file:
        entries = file["Events"].num_entries
        for start in range(0, entries, step):
            yield NanoEventsFactory.from_root(
                file,
                treepath="Events",
                schemaclass=NanoAODSchema,
                mode="virtual",
                entry_start=start,
                entry_stop=min(start + step, entries),
            ).events()


def histogram(low, high):
    return bh.Histogram(bh.axis.Regular(100, low, high), storage=bh.storage.Int64())


def double(values):
    return ak.values_astype(values, np.float64)


def momenta(objects, *more):
    """Return the vectors in float64 and Cartesian: sums of them are sums only."""
    pt, eta, phi, mass = (double(objects[f]) for f in ("pt", "eta", "phi", "mass"))
    z = pt * np.sinh(eta)
    fields = {
        "x": pt * np.cos(phi),
        "y": pt * np.sin(phi),
        "z": z,
        "t": np.sqrt(pt * pt + z * z + mass * mass),
    }
    return ak.zip(
        fields | {field: objects[field] for field in more},
        with_name="LorentzVector",
        behavior=objects.behavior,
    )


def q1(path):
    met = histogram(0, 2000)
    for events in chunks(path, 1):
        met.fill(events.MET.pt)
    return {"1": met}


def q2(path):
    jets = histogram(15, 60)
    for events in chunks(path, 2):
        jets.fill(ak.flatten(events.Jet.pt))
    return {"2": jets}


def q3(path):
    jets = histogram(15, 60)
    for events in chunks(path, 3):
        pt, eta = ak.flatten(events.Jet.pt), ak.flatten(events.Jet.eta)
        jets.fill(pt[abs(eta) < 1])
    return {"3": jets}


def q4(path):
    met = histogram(0, 2000)
    for events in chunks(path, 4):
        hard = ak.sum(events.Jet.pt > 40, axis=1) >= 2
        met.fill(events.MET.pt[hard])
    return {"4": met}


def q5(path):
    met = histogram(0, 2000)
    for events in chunks(path, 5):
        muons = momenta(events.Muon, "charge")
        a, b = ak.unzip(ak.combinations(muons, 2))
        opposite = a.charge != b.charge
        mass = (a[opposite] + b[opposite]).mass
        met.fill(events.MET.pt[ak.any((mass > 60) & (mass < 120), axis=1)])
    return {"5": met}


def q6(path):
    pt, btag = histogram(15, 40), histogram(0, 1)
    for events in chunks(path, 6):
        jets = momenta(events.Jet, "btag")
        a, b, c = ak.unzip(ak.combinations(jets[ak.num(jets) >= 3], 3))
        best = ak.argmin(abs((a + b + c).mass - 172.5), axis=1, keepdims=True)
        a, b, c = (ak.flatten(jet[best]) for jet in (a, b, c))
        pt.fill((a + b + c).pt)
        btag.fill(np.maximum(np.maximum(a.btag, b.btag), c.btag))
    return {"6a": pt, "6b": btag}


def q7(path):
    sums = histogram(15, 200)
    for events in chunks(path, 7):
        jets, *leptons = (
            ak.zip({"pt": of.pt, "eta": double(of.eta), "phi": double(of.phi)})
            for of in (events.Jet, events.Muon, events.Electron)
        )
        jets = jets[jets.pt > 30]
        leptons = ak.concatenate([of[of.pt > 10] for of in leptons], axis=1)
        jet, lepton = ak.unzip(ak.cartesian([jets, leptons], nested=True))
        phi = (jet.phi - lepton.phi + np.pi) % (2 * np.pi) - np.pi
        near = ak.any(np.hypot(jet.eta - lepton.eta, phi) < 0.4, axis=2)
        clean = double(jets.pt[~near])
        sums.fill(ak.sum(clean, axis=1)[ak.num(clean) > 0])
    return {"7": sums}


def q8(path):
    masses = histogram(15, 250)
    for events in chunks(path, 8):
        enough = ak.num(events.Muon) + ak.num(events.Electron) >= 3
        flavours = (events.Muon[enough], events.Electron[enough])
        muons, electrons = (momenta(of, "charge") for of in flavours)
        pt, phi = (
            double(ak.concatenate([of[field] for of in flavours], axis=1))
            for field in ("pt", "phi")
        )
        leptons = ak.concatenate([muons, electrons], axis=1)
        leptons["place"] = ak.local_index(leptons)
        leptons["is_muon"] = leptons.place < ak.num(muons)
        a, b = ak.unzip(ak.combinations(leptons, 2))
        candidate = (a.is_muon == b.is_muon) & (a.charge != b.charge)
        a, b = a[candidate], b[candidate]
        best = ak.argmin(abs((a + b).mass - 91.2), axis=1, keepdims=True)
        a, b = ak.firsts(a.place[best]), ak.firsts(b.place[best])
        chosen = ~ak.is_none(a)
        pt, phi, place = pt[chosen], phi[chosen], leptons.place[chosen]
        is_other = (place != a[chosen]) & (place != b[chosen])
        pt, phi = pt[is_other], phi[is_other]
        hardest = ak.argmax(pt, axis=1, keepdims=True)
        pt, phi = ak.firsts(pt[hardest]), ak.firsts(phi[hardest])
        met = events.MET[enough][chosen]
        cosine = np.cos(double(met.phi) - phi)
        masses.fill(np.sqrt(2 * double(met.pt) * pt * (1 - cosine)))
    return {"8": masses}


def answer(query, path):
    found = globals()[f"q{query}"](path)
    return {name: h.values().tolist() for name, h in found.items()}


serve(answer)
