"""What of an installed distribution a public index has given out.

The only witnesses are what the installer wrote. What an index would not have taken is
told by its own rules: PyPI refuses local versions (PEP 440), classifiers that begin with
``Private ::`` and wheels for plain ``linux`` (PEP 513), which are built where they are
installed. Sources of the files: "Recording installed projects", "Direct URL" and "Binary
distribution format" of the Python packaging specifications.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_INSTALLERS = frozenset({"pdm", "pip", "poetry", "uv"})
_WRITTEN_BY_INSTALLERS = frozenset(
    {
        "INSTALLER",
        "RECORD",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "uv_build.json",
        "uv_cache.json",
    }
)
_SHA256 = "sha256="
_LENGTH = len(_SHA256) + 43
"""Of a hash as ``RECORD`` writes it."""
_SCRIPTS = frozenset({"bin", "Scripts"})
"""Folders whose files begin with the path of the environment's interpreter."""
_PRIVATE = re.compile(r"^Classifier:\s*Private\s*::", re.IGNORECASE | re.MULTILINE)
_BUILT_HERE = re.compile(r"^Tag:\s*\S+-linux_\w+\s*$", re.MULTILINE)


def published_files(dist_info: Path, record: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return which files a public index gave out, each with what it should hold.

    Only what the wheel itself held: not what the installer wrote, such as scripts with
    the path of the interpreter, ``RECORD`` or byte code. An index of one's own cannot be
    told from a public one by what is installed: before anything is published, the public
    ones are asked (:mod:`facility.environment.wheel_index`).

    Args:
        dist_info: the distribution's folder, ``NAME-VERSION.dist-info``.
        record: rows of its ``RECORD``: path, hash and size.

    Returns:
        SHA-256, as ``RECORD`` has it (URL-safe base64 without padding), by path relative
        to the folder that ``dist_info`` is in, with ``..`` where it leads out of it.
        Empty if the distribution is not from an index, or a public one refuses such.
    """
    if not _is_from_index(dist_info):
        return {}
    found = {}
    for path, recorded in (row[:2] for row in record if len(row) > 1):
        # Most have no hash (byte code), or lie plainly beside the metadata.
        if (
            len(recorded) == _LENGTH
            and recorded.startswith(_SHA256)
            and _is_of_wheel(path)
        ):
            found[path] = recorded[len(_SHA256) :]
    return found


def _is_from_index(dist_info: Path) -> bool:
    version = dist_info.name.removesuffix(".dist-info").partition("-")[2]
    if not version or "+" in version or (dist_info / "direct_url.json").exists():
        return False
    installer = _read(dist_info / "INSTALLER").split()
    if not installer or installer[0].lower() not in _INSTALLERS:
        return False
    metadata, _, _ = _read(dist_info / "METADATA").partition("\n\n")
    wheel = _read(dist_info / "WHEEL")
    return bool(
        metadata
        and wheel
        and not _PRIVATE.search(metadata)
        and not _BUILT_HERE.search(wheel)
    )


def _is_of_wheel(path: str) -> bool:
    if path.endswith(".pyc") or path.startswith("/"):
        return False
    if ".." not in path and ".dist-info/" not in path:
        return True
    *folders, name = posixpath.normpath(path).split("/")
    outside = folders.count("..")
    if outside:
        return outside < len(folders) and folders[outside] not in _SCRIPTS
    is_metadata = len(folders) == 1 and folders[0].endswith(".dist-info")
    return not (is_metadata and name in _WRITTEN_BY_INSTALLERS)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
