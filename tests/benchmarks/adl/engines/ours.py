"""This project: a query in kernel or array style, on so many threads."""

from serving import serve

from facility.columnar.adl.queries import QUERIES, Style
from facility.columnar.dataset import Dataset
from facility.columnar.executors.local import Threads


def answer(query, path, style="kernel", threads=1):
    asked = QUERIES[query - 1]
    chunk_events = asked.chunk_events(Style(style))
    dataset = Dataset(path, "Events", chunk_events=chunk_events)
    on = "serial" if threads == 1 else Threads(threads)
    result = dataset.run(asked.analysis(Style(style)), on=on, progress=False)
    return {
        name.removeprefix("q"): histogram.values().tolist()
        for name, histogram in asked.histograms(result.value).items()
    }


serve(answer)
