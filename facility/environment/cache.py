"""Keeps descriptions on disk, one file per environment, in the user's cache.

The file is trusted only if its key equals the key of now; a file that is damaged, of
another format or unreadable counts as absent. Writers replace it atomically, so that
any number of processes may share it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facility.environment.model import Environment

VERSION = 1
"""Raise it whenever a description of the same environment would read differently."""

Key = Sequence[Sequence[str | int]]
"""What the description depends on: paths with times and inodes; facts."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known about the sources of one editable distribution."""

    roots: tuple[str, ...]
    fingerprint: str
    contents: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A description and what it takes to tell whether it still holds."""

    environment: Environment
    sources: Mapping[str, Sources]


def cache_directory() -> Path:
    """Return ``$XDG_CACHE_HOME/analysis-facility/environment``, existing or not."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the XDG specification ignores relative paths
        base = os.path.expanduser("~/.cache")
    return Path(base, "analysis-facility", "environment")


def load_entry(identity: str, key: Key) -> Entry | None:
    """Return what was stored for that environment under exactly that key."""
    try:
        data = json.loads(_path(identity).read_bytes())
        if data["version"] != VERSION or data["key"] != [list(part) for part in key]:
            return None
        return Entry(
            environment=Environment.from_json(data["environment"]),
            sources={
                str(name): Sources(
                    roots=tuple(str(root) for root in roots),
                    fingerprint=str(known),
                    contents=str(contents),
                )
                for name, (roots, known, contents) in data["sources"].items()
            },
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    except RecursionError:
        return None


def store_entry(identity: str, key: Key, entry: Entry) -> None:
    """Replace what is stored. A cache that cannot be written stays as it is."""
    text = json.dumps(
        {
            "version": VERSION,
            "key": [list(part) for part in key],
            "environment": entry.environment.to_json(),
            "sources": {
                name: [s.roots, s.fingerprint, s.contents]
                for name, s in entry.sources.items()
            },
        }
    )
    path = _path(identity)
    draft = path.with_name(f"{path.stem}.{os.getpid()}-{os.urandom(4).hex()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(draft, "x", opener=_private, encoding="utf-8") as stream:
            stream.write(text)
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _path(identity: str) -> Path:
    name = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_directory() / f"{name}.json"
