"""Describes an environment, from the cache where nothing changed."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from facility.environment.cache import Entry, Key, Sources, load_entry, store_entry
from facility.environment.distributions import read_distributions
from facility.environment.interpreter import (
    ask_interpreter,
    executable_of,
    is_own,
    own_interpreter,
)
from facility.environment.model import Environment, Interpreter
from facility.environment.site_directories import (
    own_site_directories,
    site_directories_of,
)
from facility.environment.source_tree import (
    SourceFile,
    contents_digest,
    fingerprint,
    source_files,
)

_SETTLED_NS = 2 * 10**9
"""What changed so lately is not cached: a file system's clock may tick too coarsely
to show a second change."""


def describe(prefix: Path | None = None) -> Environment:
    """Describe an environment: this process's own, or the one at a prefix.

    The own one includes ``PYTHONPATH`` and the user's site directory if they are
    in force; one at a prefix is described without them, and without running its code.

    What was found is cached by the status of the directories involved, and of the
    sources of editable distributions. A change inside a ``dist-info`` directory that
    leaves its parent as it was (no installer makes such) is not noticed.

    Raises:
        NoInterpreterError: there is no working Python at the prefix.
    """
    if prefix is None:
        return _describe(Path(sys.prefix), own_interpreter(), own_site_directories())
    place = prefix.absolute()
    executable = executable_of(place)
    if is_own(executable):
        interpreter, base = own_interpreter(), Path(sys.base_prefix)
    else:
        interpreter, base = ask_interpreter(executable)
    directories = site_directories_of(place, base, interpreter.version)
    return _describe(place, interpreter, directories)


def _describe(
    prefix: Path, interpreter: Interpreter, directories: list[Path]
) -> Environment:
    started_ns = time.time_ns()
    key, newest_ns = _key(prefix, interpreter, directories)
    identity = "\n".join(map(str, (prefix, *directories)))
    known = load_entry(identity, key)
    if known is None:
        entry, files_ns = _read(prefix, interpreter, directories)
    else:
        entry, files_ns = _refresh(known)
    is_settled = max(newest_ns, files_ns) < started_ns - _SETTLED_NS
    if is_settled and entry is not known:
        store_entry(identity, key, entry)
    return entry.environment


def _key(
    prefix: Path, interpreter: Interpreter, directories: list[Path]
) -> tuple[Key, int]:
    """Return what the description depends on, and its latest change (ns)."""
    key: list[list[str | int]] = [
        [interpreter.implementation, interpreter.version],
        [interpreter.machine, str(interpreter.libc)],
    ]
    newest_ns = 0
    for directory in (*directories, prefix / "conda-meta"):
        try:
            status = os.stat(directory)
        except OSError:
            continue
        key.append([str(directory), status.st_mtime_ns, status.st_ino])
        newest_ns = max(newest_ns, status.st_mtime_ns)
    return key, newest_ns


def _read(
    prefix: Path, interpreter: Interpreter, directories: list[Path]
) -> tuple[Entry, int]:
    distributions = {}
    sources = {}
    newest_ns = 0
    for name, installed in read_distributions(directories, prefix).items():
        distribution = installed.distribution
        if installed.sources:
            files = source_files(installed.sources)
            newest_ns = max(newest_ns, _newest_ns(files))
            contents = contents_digest(files)
            sources[name] = Sources(installed.sources, fingerprint(files), contents)
            distribution = replace(distribution, contents=contents)
        distributions[name] = distribution
    return Entry(Environment(interpreter, distributions, str(prefix)), sources), (
        newest_ns
    )


def _refresh(known: Entry) -> tuple[Entry, int]:
    """Return the same entry if no source changed, else one with what is there now."""
    distributions = dict(known.environment.distributions)
    sources = dict(known.sources)
    newest_ns = 0
    for name, before in known.sources.items():
        files = source_files(before.roots)
        status = fingerprint(files)
        if status == before.fingerprint:
            continue
        newest_ns = max(newest_ns, _newest_ns(files))
        contents = contents_digest(files)
        sources[name] = Sources(before.roots, status, contents)
        distributions[name] = replace(distributions[name], contents=contents)
    if sources == known.sources:
        return known, newest_ns
    return Entry(
        replace(known.environment, distributions=distributions), sources
    ), newest_ns


def _newest_ns(files: list[SourceFile]) -> int:
    return max((file.changed_ns for file in files), default=0)
