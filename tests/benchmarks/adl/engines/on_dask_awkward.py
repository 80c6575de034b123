"""dask-awkward: uproot.dask, columns chosen, a function of arrays per partition.

Runs in an environment of its own: it needs an older Dask than we have.
"""

import dask
import uproot
from expert import COLUMNS, STEPS
from idiomatic import ask
from serving import serve


def add(parts):
    total = {}
    for part in parts:
        for name, histogram in part.items():
            total[name] = total.get(name, 0) + histogram
    return total


def answer(query, path):
    events = uproot.dask(
        {path: "Events"},
        step_size=STEPS[query],
        open_files=True,
        filter_name=COLUMNS[query],
    )
    parts = [dask.delayed(ask)(query, part) for part in events.to_delayed()]
    with dask.config.set(scheduler="sync"):
        [total] = dask.compute(dask.delayed(add)(parts))
    return {name: h.values().tolist() for name, h in total.items()}


serve(answer)
