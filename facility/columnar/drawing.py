"""Pictures of results, by mplhep."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import hist
import matplotlib.pyplot as plt
import mplhep

from facility.columnar.errors import AnalysisError


def draw(value: Any, **style: Any) -> list[Any]:
    """Draw all histograms of a value and return mplhep's artists.

    Histograms of equal axes share a frame; others get one each, side by side. A
    category axis beside the one that is drawn gives a line for each category. Names and
    categories are in the legend. Two axes of numbers are a map of colours.

    Args:
        value: a histogram, or a dict with histograms; what else it holds is left out.
        style: keywords of ``mplhep.histplot`` (``ax``, ``stack``, ``histtype`` ...) or,
            for two axes, of ``mplhep.hist2dplot``.

    Raises:
        AnalysisError: there is no histogram, one has too many axes to be drawn, or
            there are several frames for the one ``ax``.
    """
    frames = _frames(list(_lines(value)))
    if not frames:
        raise AnalysisError(
            f"{type(value).__name__} cannot be drawn: expected a hist.Hist or a dict "
            "of them"
        )
    if len(frames) == 1:
        return _draw_frame(frames[0], style)
    if "ax" in style:
        raise AnalysisError(
            f"{len(frames)} kinds of axes do not fit into one frame: choose one, such "
            "as result['mass'].plot(ax=...)"
        )
    size = (6.4 * len(frames), 4.8)
    _, places = plt.subplots(1, len(frames), figsize=size, layout="constrained")
    return [
        artist
        for frame, place in zip(frames, places, strict=True)
        for artist in _draw_frame(frame, style | {"ax": place})
    ]


_Line = tuple[str, hist.Hist[Any]]


def _draw_frame(lines: list[_Line], style: dict[str, Any]) -> list[Any]:
    labels, histograms = (list(part) for part in zip(*lines, strict=True))
    if len(histograms[0].axes) == 2 and len(histograms) == 1:
        return [mplhep.hist2dplot(histograms[0], **style)]
    if len(histograms[0].axes) != 1:
        names = ", ".join(axis.name or "?" for axis in histograms[0].axes)
        raise AnalysisError(
            f"{labels[0] or 'the histogram'} has the axes {names}: choose what is "
            "drawn, such as result.hist.project(...).plot()"
        )
    if any(labels):
        style = {"label": labels} | style
    with warnings.catch_warnings():
        # Without scipy it draws sqrt(n), as it says for every histogram.
        warnings.filterwarnings("ignore", "Integer weights indicate")
        artists: list[Any] = mplhep.histplot(histograms, **style)
    if any(labels):
        (style.get("ax") or plt.gca()).legend()
    return artists


def _lines(value: Any, label: str = "") -> Iterator[_Line]:
    """Yield what is drawn as one, and what the legend calls it."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _lines(one, f"{label} {name}".strip())
    elif isinstance(value, hist.Hist):
        at = next((i for i, axis in enumerate(value.axes) if _is_category(axis)), None)
        if at is None or len(value.axes) == 1:
            yield label, value
            return
        for i, category in enumerate(value.axes[at]):
            part = value[(slice(None),) * at + (i,)]
            yield from _lines(part, f"{label} {category}".strip())


def _is_category(axis: Any) -> bool:
    return isinstance(axis, hist.axis.StrCategory | hist.axis.IntCategory)


def _frames(lines: list[_Line]) -> list[list[_Line]]:
    """Put together what has equal axes, in the order of the first of each."""
    frames: list[list[_Line]] = []
    for line in lines:
        for frame in frames:
            if frame[0][1].axes == line[1].axes:
                frame.append(line)
                break
        else:
            frames.append([line])
    return frames
