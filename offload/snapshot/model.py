"""What a snapshot is, and what is asked to be frozen."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from offload.snapshot.base import Base
from offload.snapshot.bytecode import is_bytecode
from offload.snapshot.errors import DamagedError

CODE = "code"
ENVIRONMENT = "env"
INTERPRETER = "interpreter"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes in a store, named by what they are."""

    digest: str
    """``sha256:`` and 64 hex digits."""
    size: int
    """Bytes."""

    @classmethod
    def of(cls, data: bytes) -> Blob:
        """Name bytes."""
        return cls(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image: a tar archive, compressed."""

    digest: str
    size: int
    """Bytes, compressed."""
    diff_id: str
    """Digest of the archive itself, without compression."""
    is_public: bool = False
    """Whether all that is in it was found to be what a public index gives out."""


@dataclass(frozen=True, slots=True)
class Part:
    """One tree of a snapshot."""

    role: str
    """``code``, ``env``, ``interpreter``, ``inputs/0``, ``local/0``...: where it lies
    in the image."""
    mount: str
    """Absolute path it had, and has again in the job."""
    tree: str
    """Digest of its tree manifest."""
    files: int
    size: int
    """Bytes of its files."""
    layers: tuple[str, ...]
    """Digests of the image's layers that make it, the lowest first."""
    packed: int = 0
    """Bytes of the files in its layers, also of those that later layers hide."""
    file: str | None = None
    """Name in the tree of the one file that it is, mounted at ``mount`` itself."""

    @property
    def path_in_image(self) -> str:
        """What of the image is to be mounted at ``mount``."""
        return self.role if self.file is None else f"{self.role}/{self.file}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen working folder with its environment and inputs."""

    id: str
    """The identity: the same for the same trees, however they are transported."""
    image: str
    """Digest of the OCI image manifest that carries it in a store."""
    parts: tuple[Part, ...]
    base: Base
    environment: str | None
    """Digest of the environment (``facility.environment``), if it could be told."""
    created: str
    """When it was frozen, ISO 8601 in UTC."""
    warnings: tuple[str, ...] = ()
    """One line each: what was left out, and what may surprise."""

    def part(self, role: str) -> Part | None:
        """Return the part of that role."""
        return next((part for part in self.parts if part.role == role), None)

    def to_json(self) -> str:
        """Return it as a JSON object, for :meth:`from_json`."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Snapshot:
        """Read what :meth:`to_json` wrote.

        Raises:
            DamagedError: it is something else.
        """
        try:
            data = json.loads(text)
            parts = tuple(
                Part(**{**part, "layers": tuple(part["layers"])})
                for part in data.pop("parts")
            )
            for part in parts:
                _check(part)
            base = Base.from_json(data.pop("base"))
            warnings = tuple(data.pop("warnings"))
            return cls(parts=parts, base=base, warnings=warnings, **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(f"not the record of a snapshot: {error}") from None

    def carried_by(self, image: str) -> Snapshot:
        """Return the same snapshot as another image carries it."""
        return replace(self, image=image)


def _check(part: Part) -> None:
    # All of these become names of files where a job runs.
    digests = (part.tree, *part.layers)
    inner = (*part.role.split("/"), *([] if part.file is None else [part.file]))
    if (
        not all(_DIGEST.fullmatch(digest) for digest in digests)
        or not {"", ".", ".."}.isdisjoint(inner)
        or (part.file is not None and "/" in part.file)
        or not part.mount.startswith("/")
        or ".." in part.mount.split("/")
    ):
        raise ValueError(f"part {part.role!r} leads out of its place")


def identity(parts: Iterable[Part], base: Base) -> str:
    """Return the identity of parts on a base: SHA-256 of roles and tree digests.

    Of the base only the version of Python counts: the rest is checked against sites.
    """
    lines = sorted(
        f"{part.role}\0{part.tree}\0" for part in parts if not is_bytecode(part.role)
    )
    text = f"analysis-facility snapshot 1\0{base.python_version or ''}\0"
    return f"sha256:{hashlib.sha256((text + ''.join(lines)).encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Request:
    """What to freeze."""

    root: Path
    """Working folder: its code root is what counts as code. Absolute."""
    prefix: Path | None = None
    """``sys.prefix`` of the environment to take along; None takes none."""
    inputs: tuple[Path, ...] = ()
    """Files and folders taken whole. Absolute."""
    allow: tuple[str, ...] = ()
    """Paths and globs of files that may hold what looks like secrets."""
