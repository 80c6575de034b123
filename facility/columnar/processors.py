"""coffea's processors as analyses: they run wherever a function of ours does.

coffea itself is asked for only when a processor runs (extra ``coffea``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak

from facility.columnar.backends import computing
from facility.columnar.events import Events
from facility.errors import UsageError


@dataclass(frozen=True)
class Processor:
    """An analysis that gives each chunk to a processor, as NanoEvents.

    ``Dataset.run`` makes one of a ``coffea.processor.ProcessorABC`` by itself; make it
    by hand for another schema than NanoAOD's or to name the dataset.

    The columns are virtual, read by coffea when they are touched. ``events.metadata``
    has what coffea's own runner gives: ``dataset``, ``filename``, ``treename``,
    ``fileuuid``, ``entrystart`` and ``entrystop``. Results are added as coffea adds
    accumulators, in the order of chunks; ``postprocess`` sees the sum.
    """

    processor: Any
    schema: type | None = None
    """Of ``coffea.nanoevents``; ``NanoAODSchema`` if none."""
    dataset: str = "events"

    def __call__(self, events: Events) -> Accumulated:
        if computing().wanted == "cuda":
            raise UsageError(
                "coffea's processors get arrays in host memory: backend='cpu' or 'auto'"
            )
        read: list[Any] = []
        nano_events = self._nano_events(events, read)
        value = self.processor.process(nano_events)
        for access in read:
            events._touch(access.branch)
        return Accumulated(value)

    def finish(self, total: Accumulated) -> Any:
        """Return what the processor makes of the sum of all chunks."""
        # The interface lets postprocess return the result or change it in place.
        finished = self.processor.postprocess(total.value)
        return total.value if finished is None else finished

    def _nano_events(self, events: Events, read: list[Any]) -> ak.Array:
        from facility.columnar.formats.root import RootColumns

        try:
            from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
        except ImportError as error:
            raise UsageError(
                "coffea's processors need coffea: pip install 'analysis-facility"
                f"[coffea]' ({error})"
            ) from error
        # Public names of events are columns.
        file, start, stop = events._file, events._start, events._stop
        options = {
            "mode": "virtual",
            "entry_start": start,
            "entry_stop": stop,
            "schemaclass": self.schema or NanoAODSchema,
            "access_log": read,
            "metadata": {
                "dataset": self.dataset,
                "filename": file.identity.path,
                "treename": file.tree,
                "fileuuid": file.identity.uuid,
                "entrystart": start,
                "entrystop": stop,
            },
        }
        if isinstance(file, RootColumns):
            factory = NanoEventsFactory.from_root(
                file.directory, treepath=file.tree, **options
            )
        else:
            factory = NanoEventsFactory.from_parquet(file.identity.path, **options)
        return factory.events()


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What a processor returned; adds up by coffea's rules (sets join, for example)."""

    value: Any

    def __add__(self, other: Accumulated) -> Accumulated:
        from coffea.processor import accumulate

        return Accumulated(accumulate([self.value, other.value]))


def is_processor(analysis: object) -> bool:
    """Return whether it is one of coffea's, without importing coffea."""
    return any(
        kind.__name__ == "ProcessorABC" and kind.__module__.startswith("coffea.")
        for kind in type(analysis).__mro__
    )
