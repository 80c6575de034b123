"""What of a merge was done: read again by whoever goes on after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Journal:
    """Lines of JSON by the path they are about; the last one of a path counts.

    A line that was cut by a kill is as if it had not been written. Lines reach the
    disk after the kernel's own delay: after a power cut some may be missing, and the
    merge then finds out from the files themselves.
    """

    def __init__(self, path: Path) -> None:
        self._last: dict[str, dict[str, Any]] = {}
        whole = 0
        data = path.read_bytes() if path.exists() else b""
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            self._last[entry["about"]] = entry
            whole += len(line)
        self._file = path.open("ab")
        self._file.truncate(whole)

    def last(self, about: str) -> dict[str, Any] | None:
        """Return the last line about a path."""
        return self._last.get(about)

    def write(self, about: str, step: str, **data: Any) -> None:
        """Add a line; it survives this process."""
        entry = {"about": about, "step": step, **data}
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        self._last[about] = entry

    def close(self) -> None:
        self._file.close()
