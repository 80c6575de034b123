"""An environment as data: its interpreter, its distributions, its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

FORMAT = 1
"""Version of the JSON form."""

LARGEST_JSON = 2**21
"""Longest JSON text (characters) that is read: other processes send it to us."""

IGNORED = frozenset({"pip", "uv", "setuptools", "wheel"})
"""What installs distributions but takes no part in an analysis.

They are listed in an environment, but neither its digest nor a comparison sees
them: two environments with the same digest have an empty difference.
"""

_LONGEST = 2000


class Origin(StrEnum):
    """Where a distribution came from."""

    INDEX = "index"
    """A package index (an installer's mark and no direct URL, PEP 610)."""
    EDITABLE = "editable"
    """A source tree that is imported in place; ``contents`` digests the tree."""
    VCS = "vcs"
    """A version control system; ``contents`` is the commit."""
    ARCHIVE = "archive"
    """A wheel or sdist by URL or path; ``contents`` is its hash."""
    LOCAL = "local"
    """A copy of a local directory; ``contents`` digests the installed files."""
    CONDA = "conda"
    """A conda package; ``contents`` is the build string if it is known."""
    OTHER = "other"
    """Something that left no record, such as a distribution of Linux."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution. The URL says where from, but not what it is."""

    version: str
    origin: Origin = Origin.INDEX
    contents: str | None = None
    """What pins it beyond the version: commit, hash or digest (see ``Origin``)."""
    url: str | None = field(default=None, compare=False)
    """Where it came from, without credentials; may be a path of this host."""

    def __str__(self) -> str:
        """``2.4.6``, or ``0.1 (editable 1f2e3d4c)`` if not from an index."""
        if self.origin is Origin.INDEX:
            return self.version
        pinned = f" {self.contents[:8]}" if self.contents else ""
        return f"{self.version} ({self.origin}{pinned})"


@dataclass(frozen=True, slots=True)
class Libc:
    """The C library of the machine, such as ``glibc 2.36``."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What a Python and its machine are, whatever is installed."""

    implementation: str
    """``cpython``, ``pypy``."""
    version: str
    """``3.11.2``; a free-threaded build ends in ``t``."""
    machine: str
    """Architecture as the kernel names it: ``x86_64``, ``aarch64``."""
    libc: Libc

    @property
    def platform_tag(self) -> str:
        """The newest wheel platform it takes, such as ``manylinux_2_36_x86_64``."""
        kind = {"glibc": "manylinux", "musl": "musllinux"}.get(self.libc.name)
        if kind is None or not self.libc.version:
            return f"linux_{self.machine}"
        return f"{kind}_{self.libc.version.replace('.', '_')}_{self.machine}"


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python environment: equal if the same code can run the same way in both."""

    interpreter: Interpreter
    distributions: Mapping[str, Distribution] = field(hash=False)
    """By normalised name (PEP 503), sorted."""
    prefix: str = field(default="", compare=False)
    """Where it is on its own machine; no part of its identity."""

    @property
    def python(self) -> str:
        """Version of Python, such as ``3.11.2``."""
        return self.interpreter.version

    @property
    def implementation(self) -> str:
        """``cpython`` or another."""
        return self.interpreter.implementation

    @property
    def machine(self) -> str:
        """Architecture, such as ``x86_64``."""
        return self.interpreter.machine

    @property
    def libc(self) -> Libc:
        """The C library."""
        return self.interpreter.libc

    @property
    def digest(self) -> str:
        """``sha256:...`` of what makes it what it is.

        Independent of where it is, of host paths and of the ``IGNORED``
        distributions: equal exactly if ``difference`` is empty.
        """
        identity = {
            "interpreter": _interpreter_to_data(self.interpreter),
            "distributions": {
                name: [d.version, d.origin, d.contents]
                for name, d in self.distributions.items()
                if name not in IGNORED
            },
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Write it as JSON text that :meth:`from_json` reads back, in one line."""
        return json.dumps(
            {
                "format": FORMAT,
                "interpreter": _interpreter_to_data(self.interpreter),
                "distributions": {
                    name: _distribution_to_data(d)
                    for name, d in self.distributions.items()
                },
                "prefix": self.prefix,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Environment:
        """Read what :meth:`to_json` wrote; safe for text from strangers.

        Raises:
            ValueError: it is not an environment; one line says why.
        """
        if len(text) > LARGEST_JSON:
            raise ValueError(
                f"an environment has at most {LARGEST_JSON} characters, got {len(text)}"
            )
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"an environment is JSON, got: {error}") from None
        top = _mapping(data, "environment")
        if top.get("format") != FORMAT:
            raise ValueError(
                f"expected format {FORMAT} of an environment, "
                f"got {_short(top.get('format'))}"
            )
        interpreter = _mapping(top.get("interpreter"), "interpreter")
        libc = _mapping(interpreter.get("libc"), "interpreter.libc")
        found = _mapping(top.get("distributions"), "distributions")
        return cls(
            interpreter=Interpreter(
                implementation=_text(interpreter, "implementation", "interpreter"),
                version=_text(interpreter, "version", "interpreter"),
                machine=_text(interpreter, "machine", "interpreter"),
                libc=Libc(
                    name=_text(libc, "name", "interpreter.libc"),
                    version=_text(libc, "version", "interpreter.libc"),
                ),
            ),
            distributions={
                name: _distribution_from_data(found[name], name)
                for name in sorted(found)
            },
            prefix=_text(top, "prefix", "environment"),
        )


def _interpreter_to_data(interpreter: Interpreter) -> dict[str, object]:
    return {
        "implementation": interpreter.implementation,
        "version": interpreter.version,
        "machine": interpreter.machine,
        "libc": {"name": interpreter.libc.name, "version": interpreter.libc.version},
    }


def _distribution_to_data(distribution: Distribution) -> dict[str, str]:
    data = {"version": distribution.version, "origin": str(distribution.origin)}
    if distribution.contents is not None:
        data["contents"] = distribution.contents
    if distribution.url is not None:
        data["url"] = distribution.url
    return data


def _distribution_from_data(value: object, name: str) -> Distribution:
    where = f"distributions.{_short(name)}"
    if not _is_line(name):
        raise ValueError(f"expected the name of a distribution, got {_short(name)}")
    data = _mapping(value, where)
    origin = _text(data, "origin", where)
    if origin not in set(Origin):
        raise ValueError(
            f"{where}.origin: expected one of {', '.join(Origin)}, got {_short(origin)}"
        )
    return Distribution(
        version=_text(data, "version", where),
        origin=Origin(origin),
        contents=_text(data, "contents", where) if "contents" in data else None,
        url=_text(data, "url", where) if "url" in data else None,
    )


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a mapping, got {_short(value)}")  # noqa: TRY004
    return value


def _text(data: dict[str, object], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not _is_line(value):
        raise ValueError(f"{where}.{key}: expected a line of text, got {_short(value)}")
    return value


def _is_line(text: str) -> bool:
    return text.isprintable() and len(text) <= _LONGEST


def _short(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
