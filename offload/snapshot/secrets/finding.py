"""What was found, said without saying the secret."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from facility.errors import UsageError
from offload.snapshot.errors import SnapshotError

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file that looks like a secret."""

    path: bytes
    """As it was asked for: relative to the folder that was checked."""
    kind: str
    """``private key``, ``AWS secret key``..."""
    line: int | None = None
    """From 1; in a notebook, of the cell's text. None if the file itself is meant."""
    cell: int | None = None
    """Of a notebook, from 1."""
    is_output: bool = False
    """Whether a cell printed it."""

    def __str__(self) -> str:
        """``train.py:3: private key``, ``a.ipynb: output of cell 2, line 1: ...``."""
        place = ascii(os.fsdecode(self.path))[1:-1]
        if self.cell is not None:
            what = "output of cell" if self.is_output else "cell"
            place += f": {what} {self.cell}, line {self.line}"
        elif self.line is not None:
            place += f":{self.line}"
        return f"{place}: {self.kind}"


class SecretsFoundError(SnapshotError, UsageError):
    """What is to be frozen holds secrets; nothing was frozen."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        shown = "; ".join(str(finding) for finding in self.findings[:_SHOWN])
        more = len(self.findings) - _SHOWN
        super().__init__(
            f"{shown}{f'; and {more} more' if more > 0 else ''}: would leave this machine; "
            "take it out, name the file in .facilityignore, or pass --allow PATH"
        )
