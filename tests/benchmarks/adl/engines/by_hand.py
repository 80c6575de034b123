"""awkward and uproot by hand: one pass over the file per query.

Two styles: awkward's own, and an expert's, who flattens what he can to numpy and tells
uproot how to read files.
"""

import awkward as ak
import uproot
from expert import COLUMNS, STEPS
from expert import ask as ask_flat
from idiomatic import ask as ask_awkward
from serving import serve
from uproot.source.file import MemmapSource

STYLES = {
    "awkward": (ask_awkward, {}),
    "flat": (ask_flat, {"handler": MemmapSource}),
}
"""What is asked of a chunk, and how the file is opened."""


def chunks(path, query, options):
    names, step = COLUMNS[query], STEPS[query]
    if path.endswith(".parquet"):
        yield from parquet_chunks(path, names, step)
        return
    with uproot.open(path, array_cache=None, **options) as file:
        yield from file["Events"].iterate(names, step_size=step)


def parquet_chunks(path, names, step):
    about = ak.metadata_from_parquet(path)
    groups = about["num_row_groups"]
    at_once = max(1, step * groups // about["num_rows"])
    for start in range(0, groups, at_once):
        wanted = list(range(start, min(start + at_once, groups)))
        yield ak.from_parquet(path, columns=names, row_groups=wanted)


def answer(query, path, style="awkward"):
    ask, options = STYLES[style]
    total = {}
    for events in chunks(path, query, options):
        for name, histogram in ask(query, events).items():
            total[name] = total.get(name, 0) + histogram
    return {name: h.values().tolist() for name, h in total.items()}


serve(answer)
