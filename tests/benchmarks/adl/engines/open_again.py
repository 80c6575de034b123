"""Run by the benchmark: CPU milliseconds to open a file again, by three readers."""

import json
import sys
import time
from pathlib import Path

import ROOT
import uproot

from facility.columnar.formats import open_columns

TIMES = 30


def ours(path):
    file = open_columns(Path(path), "Events")
    entries = file.entries
    file.close()
    return entries


def by_uproot(path):
    with uproot.open(path) as file:
        return file["Events"].num_entries


def by_root(path):
    file = ROOT.TFile.Open(path)
    entries = file.Get("Events").GetEntries()
    file.Close()
    return entries


def milliseconds(reader, path):
    reader(path)
    begin = time.process_time()
    for _ in range(TIMES):
        reader(path)
    return (time.process_time() - begin) / TIMES * 1000


readers = {"ours": ours, "uproot": by_uproot, "ROOT": by_root}
entries = {reader(sys.argv[1]) for reader in readers.values()}
assert len(entries) == 1, entries
print(
    json.dumps({n: milliseconds(reader, sys.argv[1]) for n, reader in readers.items()})
)
