"""What a run gives back: the sum, where it came from, and how to keep it."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hist
import uhi.io.json

from facility.columnar import summary
from facility.columnar.computing import Task
from facility.columnar.errors import (
    AnalysisError,
    DatasetError,
    nearest,
    one_line,
)
from facility.columnar.provenance import Provenance
from facility.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True, slots=True)
class Result:
    """The sum of all chunks."""

    value: Any
    """What the analysis returned, summed."""
    provenance: Provenance
    task: Task
    """What was computed: :meth:`save` keeps it for ``facility rerun``."""

    @property
    def hist(self) -> hist.Hist[Any]:
        """The histogram.

        Raises:
            AnalysisError: the analysis returned something else: use ``value``.
        """
        if not isinstance(self.value, hist.Hist):
            raise AnalysisError(
                f"the analysis returned {type(self.value).__name__}, not one hist.Hist:"
                " its sum is in .value"
            )
        return self.value

    def __getitem__(self, name: str) -> Result:
        """Return one of several: ``result["mass"].plot()`` when the sum is a dict.

        Raises:
            AnalysisError: there is none of that name.
        """
        names = list(self.value) if isinstance(self.value, Mapping) else []
        if name not in names:
            there = ", ".join(map(str, nearest(name, map(str, names)) or names))
            hint = f"it has {there}" if names else "its sum is in .value"
            raise AnalysisError(f"the result has no {name!r}: {hint}")
        return replace(self, value=self.value[name])

    @property
    def events_per_s(self) -> float:
        """Events by wall clock."""
        return self.provenance.events / max(self.provenance.seconds, 1e-9)

    def plot(self, **style: Any) -> Any:
        """Draw every histogram with mplhep, over each other; see :func:`draw`."""
        from facility.columnar.drawing import draw  # matplotlib takes a second

        return draw(self.value, **style)

    def save(self, path: str | Path) -> Path:
        """Write the histogram(s) as UHI JSON, with the provenance in ``metadata``.

        One histogram is the top-level object, which ``hist.Hist`` reads; a dict of
        histograms becomes an object of them. The first also holds the analysis, by
        value, for ``facility rerun``: whoever runs that runs what is in the file.

        Raises:
            AnalysisError: the value is neither.
            UsageError: the file cannot be written.
        """
        from facility.columnar.record import Record  # environments: only when kept

        path = Path(path)
        if isinstance(self.value, hist.Hist):
            histograms = {"": self.value}
        elif (
            isinstance(self.value, Mapping)
            and self.value
            and all(isinstance(h, hist.Hist) for h in self.value.values())
        ):
            histograms = dict(self.value)
        else:
            raise AnalysisError(
                f"{type(self.value).__name__} cannot be saved as UHI JSON: expected "
                "a hist.Hist or a dict of them"
            )
        made = {"provenance": self.provenance.to_json()}
        documents = {name: document(h, made) for name, h in histograms.items()}
        first = next(iter(documents.values()))
        first["metadata"]["rerun"] = Record.of(self.task).to_json()
        whole = first if isinstance(self.value, hist.Hist) else documents
        text = json.dumps(whole, default=uhi.io.json.default)
        draft = path.with_name(f".{path.name}.new")
        try:
            draft.write_text(text)
            draft.replace(path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        return path

    def _repr_html_(self) -> str:
        is_one = isinstance(self.value, hist.Hist)
        picture = self.value._repr_html_() if is_one else ""
        words = "<br>".join(html.escape(line) for line in str(self).splitlines())
        return f"{picture}{summary.as_html(self.value)}<p>{words}</p>"

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table

        table = Table(*summary.HEAD, box=None, pad_edge=False)
        for line in summary.lines(self.value):
            table.add_row(*map(escape, astuple(line)))
        return Group(table, escape(str(self)))

    def __str__(self) -> str:
        """Say in one line what was done, and in more what was odd."""
        made = self.provenance
        line = (
            f"{made.events:,} events in {made.seconds:.2f} s "
            f"({self.events_per_s / 1e6:.2f} million/s, "
            f"{made.bytes_read / 1e6:.1f} MB read); chunks: {len(made.chunks)}, "
            f"workers ({made.executor}): {len(made.workers)}"
        )
        return "\n".join([line, *made.remarks()])


def load(path: str | Path) -> hist.Hist[Any] | dict[str, hist.Hist[Any]]:
    """Read what :meth:`Result.save` wrote, or any other UHI JSON histogram.

    Raises:
        DatasetError: the file does not hold UHI JSON.
    """
    try:
        document = json.loads(
            Path(path).read_text(), object_hook=uhi.io.json.object_hook
        )
        if "uhi_schema" in document:
            return hist.Hist(document)
        return {name: hist.Hist(one) for name, one in document.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{path} is not a histogram in UHI JSON: {one_line(error)}"
        ) from error


def document(histogram: hist.Hist[Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a histogram as UHI JSON writes it, with more metadata."""
    found: dict[str, Any] = dict(histogram._to_uhi_())
    found["metadata"] = {**(found.get("metadata") or {}), **metadata}
    return found
