"""Whether all that a layer holds is what a public index gives out. Nothing is believed.

What installers write tells which distributions a layer is of; the index tells what their
wheels hold. A file that no such wheel holds makes the whole layer one of our own.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offload.snapshot.layers.reading import Layer
from offload.snapshot.tree import Kind

Records = Callable[[str, Collection[str]], Iterable[Mapping[str, str]]]
"""Returns what wheels hold: SHA-256 (URL-safe base64 without padding) by path, of each
that an index has of a distribution (``NAME-VERSION.dist-info``) with one of some tags."""

_TAG = re.compile(r"^Tag:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_LARGEST_WHEEL_FILE = 1 << 16


@dataclass(slots=True)
class Contents:
    """What a layer holds."""

    files: dict[str, str] = field(default_factory=dict)
    """SHA-256, as in a wheel's record, by path."""
    wheels: dict[str, str] = field(default_factory=dict)
    """Text of ``WHEEL`` by the path of its folder."""
    folders: set[str] = field(default_factory=set)
    has_others: bool = False
    """Whether there is anything but files and folders."""


def contents_of(blob: Path) -> Contents:
    """Read a layer.

    Raises:
        DamagedError, UnsafeLayerError: it is none.
        OSError: it cannot be read.
    """
    found = Contents()
    with blob.open("rb", buffering=0) as file:
        layer = Layer(file, blob.name)
        for member in layer.members():
            path = member.path.decode(errors="surrogateescape")
            if member.kind is Kind.FOLDER:
                found.folders.add(path)
                continue
            if member.kind is not Kind.FILE:
                found.has_others = True
                continue
            sha256 = hashlib.sha256()
            text = b""
            is_wheel = path.endswith(".dist-info/WHEEL")
            for piece in layer.content(member):
                sha256.update(piece)
                if is_wheel and len(text) < _LARGEST_WHEEL_FILE:
                    text += piece
            digest = base64.urlsafe_b64encode(sha256.digest()).decode().rstrip("=")
            found.files[path] = digest
            if is_wheel:
                folder = posixpath.dirname(path)
                found.wheels[folder] = text.decode("utf-8", "replace")
    return found


def is_given_out(contents: Contents, records: Records) -> bool:
    """Whether wheels of an index hold every file of a layer, by what they call it.

    Raises what ``records`` does.
    """
    if contents.has_others or not contents.files:
        return False
    needed = {str(folder) for path in contents.files for folder in Path(path).parents}
    if not contents.folders <= needed:  # a name says something, too
        return False
    given: dict[str, str] = {}
    moved: dict[str, set[str]] = defaultdict(set)
    """By what they hold, the ends of paths that the installer chooses."""
    for folder, text in sorted(contents.wheels.items()):
        place, _, dist_info = folder.rpartition("/")
        for record in records(dist_info, frozenset(_TAG.findall(text))):
            if not _is_it(record, folder, dist_info, contents):
                continue
            data = f"{dist_info.removesuffix('.dist-info')}.data/"
            for path, sha256 in record.items():
                if path.startswith(data):
                    moved[sha256].add(path.removeprefix(data).partition("/")[2])
                else:
                    given[posixpath.join(place, path)] = sha256
            break
    return all(
        given.get(path) == sha256
        or any(path.endswith(f"/{end}") for end in moved.get(sha256, ()))
        for path, sha256 in contents.files.items()
    )


def _is_it(
    record: Mapping[str, str], folder: str, dist_info: str, contents: Contents
) -> bool:
    """Whether a wheel is the one that was installed, by what it says of itself."""
    return all(
        record.get(f"{dist_info}/{name}") == contents.files.get(f"{folder}/{name}")
        for name in ("METADATA", "WHEEL")
    )
