"""The numbers of a result in a few lines: what each histogram holds."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import hist
import numpy as np


@dataclass(frozen=True, slots=True)
class Line:
    """One histogram, or another value, of a result."""

    name: str
    axes: str
    """``mass [100], kind [2]``; empty for what is no histogram."""
    inside: str
    """Sum of all bins, with its statistical error: ``1,234.0 ± 35.1``."""
    outside: str
    """Sum of what is under and over the axes."""


HEAD = ("", "axes [bins]", "inside", "outside")


def lines(value: Any, name: str = "") -> Iterator[Line]:
    """Yield a line for each histogram and number of a result, in its order."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from lines(one, f"{name} {key}".strip())
    elif isinstance(value, hist.Hist):
        axes = ", ".join(
            f"{axis.name or axis.label or '?'} [{len(axis)}]" for axis in value.axes
        )
        inside = _total(value, flow=False)
        whole = _total(value, flow=True)
        error = f" ± {inside[1] ** 0.5:,.1f}" if inside[1] is not None else ""
        outside = whole[0] - inside[0]
        yield Line(name, axes, f"{inside[0]:,.1f}{error}", f"{outside:,.1f}")
    else:
        text = repr(value)
        yield Line(name, "", text if len(text) <= 60 else f"{text[:57]}...", "")


def as_html(value: Any) -> str:
    """Return the lines as a table."""
    rows = [HEAD, *map(astuple, lines(value))]
    cells = ("".join(f"<td>{html.escape(text)}</td>" for text in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _total(histogram: hist.Hist[Any], *, flow: bool) -> tuple[float, float | None]:
    """Return the sum of bins and of their variances."""
    values = histogram.values(flow=flow)
    variances = histogram.variances(flow=flow)
    total = None if variances is None else float(np.sum(variances))
    return float(np.sum(values)), total
