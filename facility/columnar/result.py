"""What a run gives back: the sum, where it came from, and how to keep it."""

from __future__ import annotations

import html
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hist
import uhi.io.json

from facility.columnar.computing import Task
from facility.columnar.errors import AnalysisError, DatasetError, one_line
from facility.columnar.provenance import Provenance


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
        """Return one of several: ``result["mass"].plot()`` when the sum is a dict."""
        return replace(self, value=self.value[name])

    @property
    def events_per_s(self) -> float:
        """Events by wall clock."""
        return self.provenance.events / max(self.provenance.seconds, 1e-9)

    def plot(self, **style: Any) -> Any:
        """Draw the histogram with mplhep; keywords go to ``mplhep.histplot``."""
        import mplhep  # matplotlib takes a second that headless runs do not need

        with warnings.catch_warnings():
            # Without scipy it draws sqrt(n), as it says for every histogram.
            warnings.filterwarnings("ignore", "Integer weights indicate")
            return mplhep.histplot(self.hist, **style)

    def save(self, path: str | Path) -> Path:
        """Write the histogram(s) as UHI JSON, with the provenance in ``metadata``.

        One histogram is the top-level object, which ``hist.Hist`` reads; a dict of
        histograms becomes an object of them.

        Raises:
            AnalysisError: the value is neither.
        """
        path = Path(path)
        record = self.provenance.to_json()
        if isinstance(self.value, hist.Hist):
            document: Any = _document(self.value, record)
        elif isinstance(self.value, dict) and all(
            isinstance(h, hist.Hist) for h in self.value.values()
        ):
            document = {k: _document(h, record) for k, h in self.value.items()}
        else:
            raise AnalysisError(
                f"a {type(self.value).__name__} cannot be saved as UHI JSON: expected "
                "a hist.Hist or a dict of them"
            )
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(json.dumps(document, default=uhi.io.json.default))
        draft.replace(path)
        return path

    def _repr_html_(self) -> str:
        picture = self.value._repr_html_() if isinstance(self.value, hist.Hist) else ""
        return f"{picture or html.escape(repr(self.value))}<p>{html.escape(str(self))}"

    def __str__(self) -> str:
        """Say in one line what was done."""
        made = self.provenance
        return (
            f"{made.events:,} events in {made.seconds:.2f} s "
            f"({self.events_per_s / 1e6:.2f} million/s, "
            f"{made.bytes_read / 1e6:.1f} MB read); chunks: {len(made.chunks)}, "
            f"workers ({made.executor}): {len(made.workers)}"
        )


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


def _document(histogram: hist.Hist[Any], provenance: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = dict(histogram._to_uhi_())
    document["metadata"] = {
        **(document.get("metadata") or {}),
        "provenance": provenance,
    }
    return document
