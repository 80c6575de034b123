"""Which luminosity sections are certified: CMS's JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from facility.columnar.errors import DatasetError

_RUN = 1 << 32
"""Runs and sections are 32-bit numbers: both fit one integer, sorted as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class LumiMask:
    """Certified ranges of luminosity sections.

    Calling it with runs and sections (flat integers, one per event) gives booleans.
    """

    starts: npt.NDArray[np.int64]
    """Of disjoint ranges, ascending: ``run * 2^32 + section``."""
    stops: npt.NDArray[np.int64]
    """Their last sections, inclusive."""

    @classmethod
    def from_json(cls, path: str | Path) -> LumiMask:
        """Return what a file ``{"run": [[first, last], ...], ...}`` certifies.

        The format is CMS's: PdmV, "Certified luminosity", both ends inclusive.

        Raises:
            DatasetError: the file cannot be read or is not of that form.
        """
        try:
            runs = json.loads(Path(path).read_text())
            return cls.from_runs({int(run): ranges for run, ranges in runs.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{path} is no lumi mask: expected JSON as "
                f'{{"355100": [[1, 20], [25, 40]]}}, got {error}'
            ) from error

    @classmethod
    def from_runs(cls, runs: dict[int, list[list[int]]]) -> LumiMask:
        """Return the mask of ``{run: [[first, last], ...]}``, in any order.

        Raises:
            ValueError: a range is not two ascending numbers of 32 bits.
        """
        ranges: list[tuple[int, int]] = []
        for run, sections in runs.items():
            for first, last in sections:
                if not 0 <= run < _RUN or not 0 <= first <= last < _RUN:
                    raise ValueError(f"run {run}: range [{first}, {last}]")
                ranges.append((run * _RUN + first, run * _RUN + last))
        starts: list[int] = []
        stops: list[int] = []
        for start, stop in sorted(ranges):
            if stops and start <= stops[-1]:
                stops[-1] = max(stops[-1], stop)
            else:
                starts.append(start)
                stops.append(stop)
        return cls(np.array(starts, np.int64), np.array(stops, np.int64))

    def __call__(self, run: Any, section: Any) -> Any:
        """Return, per event, whether its section is certified; awkward if one is."""
        if isinstance(run, ak.Array) or isinstance(section, ak.Array):
            flat = (ak.to_layout(ak.to_packed(part)).data for part in (run, section))
            return ak.Array(self(*flat))
        key = run.astype(np.int64) * _RUN + section.astype(np.int64)
        # ``like`` puts the table where the events are.
        starts = np.asarray(self.starts, like=key)
        stops = np.asarray(self.stops, like=key)
        if not len(starts):
            return key < 0
        at = np.searchsorted(starts, key, side="right") - 1
        return (at >= 0) & (key <= stops[np.maximum(at, 0)])
