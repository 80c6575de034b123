"""A catalogue file: names of datasets, where their files are, what is known of them.

    ttbar:
      files: [ttbar/*.root, root://server//store/ttbar.root]
      tree: Events
      metadata: {cross_section_pb: 831.76}

YAML or JSON; coffea's filesets too, whose files are a mapping of paths to trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from facility.columnar.errors import DatasetError, nearest, one_line
from facility.columnar.files import PathLike
from facility.columnar.schemas import SCHEMAS, Schema, schema_named

_D = TypeVar("_D")

_OF_COFFEA = ("form", "compressed_form")
"""What its preprocessing adds to a fileset, and nobody here needs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset of a catalogue."""

    files: tuple[str, ...]
    tree: str | None = None
    schema: Schema | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Catalogue(Mapping[str, _D], Generic[_D]):
    """Datasets by name, each opened when it is asked for, once.

    Args:
        path: of the file; relative paths in it start from its folder.
        opened: makes a dataset of an entry.

    Raises:
        DatasetError: the file cannot be read, or says what no catalogue says.
    """

    def __init__(self, path: PathLike, opened: Callable[[Entry, Path], _D]) -> None:
        self.path = Path(path).expanduser()
        self.entries = parse(_load(self.path), str(self.path))
        self._opened = opened
        self._known: dict[str, _D] = {}

    def __getitem__(self, name: str) -> _D:
        """Return a dataset.

        Raises:
            DatasetError: there is none of that name, or its files cannot be opened.
        """
        if name not in self.entries:
            near = ", ".join(nearest(name, self.entries) or self.entries)
            raise DatasetError(
                f"{self.path} has no dataset {name!r}: did you mean {near}?"
            )
        if name not in self._known:
            folder = self.path.resolve().parent
            self._known[name] = self._opened(self.entries[name], folder)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"Catalogue({', '.join(self.entries)})"


def parse(document: Any, where: str) -> dict[str, Entry]:
    """Return the entries that plain values describe.

    Args:
        document: of YAML or JSON.
        where: names the file in errors.

    Raises:
        DatasetError: an unknown key, a wrong type, an entry without files.
    """
    if not isinstance(document, dict) or not document:
        raise DatasetError(f"{where}: expected names of datasets with files, got none")
    return {
        str(name): _entry(given, f"{where}: {name}") for name, given in document.items()
    }


def _entry(given: Any, where: str) -> Entry:
    if not isinstance(given, dict):
        given = {"files": given}
    known = [f.name for f in fields(Entry)]
    for key in given:
        if key not in known and key not in _OF_COFFEA:
            near = ", ".join(nearest(str(key), known) or known)
            raise DatasetError(f"{where}: unknown key {key!r}: did you mean {near}?")
    files, tree = _files(given.get("files"), given.get("tree"), where)
    metadata = given.get("metadata", {})
    if not isinstance(metadata, dict):
        raise DatasetError(f"{where}: metadata: expected keys and values")
    try:
        schema = schema_named(given.get("schema"), SCHEMAS)
    except DatasetError as error:
        raise DatasetError(f"{where}: {error}") from error
    return Entry(files, tree, schema, metadata)


def _files(given: Any, tree: Any, where: str) -> tuple[tuple[str, ...], str | None]:
    if isinstance(given, dict):  # coffea: the tree of each file
        trees = dict.fromkeys(_tree_name(t, where) for t in given.values())
        if len(trees) > 1:
            raise DatasetError(
                f"{where}: files of one dataset have one tree, got {', '.join(trees)}"
            )
        tree, given = tree or next(iter(trees), None), list(given)
    files = [given] if isinstance(given, str) else given
    if not (
        isinstance(files, list) and files and all(isinstance(f, str) for f in files)
    ):
        raise DatasetError(f"{where}: files: expected a path or a list of them")
    if not isinstance(tree, str | None):
        raise DatasetError(f"{where}: tree: expected a name, got {tree!r}")
    return tuple(files), tree


def _tree_name(given: Any, where: str) -> str:
    """Return the tree of a file in a fileset: its name, or what coffea found of it."""
    if isinstance(given, dict):
        given = given.get("object_path")
    if not isinstance(given, str):
        raise DatasetError(f"{where}: files: expected the tree of each, got {given!r}")
    return given


def _load(path: Path) -> Any:
    from ruamel.yaml import YAML  # only catalogues need it
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(path.read_text())
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or one_line(error)
        raise DatasetError(f"{path}{line} is no YAML or JSON: {problem}") from error
