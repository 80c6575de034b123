"""The form of signed files: lines, ``--``, the SHA-1 of the lines in hex, a signature.

The signature is of the 40 characters in hex.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from offload.cache.cvmfs.errors import UntrustedError

_MARK = b"\n--\n"
MOST_BYTES = 1 << 16
"""No signed file is larger: what is, need not be read to its end."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed file, taken apart; its digest is checked, its signature is not."""

    lines: tuple[str, ...]
    digest: bytes
    """As it was signed: 40 characters in hex."""
    signature: bytes

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Take a signed file apart.

        Args:
            data: the file.
            name: of it, for errors.

        Raises:
            UntrustedError: it is not of that form, or was changed.
        """
        text, mark, rest = data.partition(_MARK)
        digest, newline, signature = rest.partition(b"\n")
        if not mark or not newline or not signature or len(data) > MOST_BYTES:
            raise UntrustedError(f"{name}: it is not signed")
        computed = _digest(text + b"\n")
        if not hmac.compare_digest(computed, digest):
            raise UntrustedError(f"{name}: its lines are not those that were signed")
        try:
            lines = text.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise UntrustedError(f"{name}: expected lines of ASCII") from None
        return cls(tuple(lines), digest, signature)


def seal(lines: list[str], sign: Callable[[bytes], bytes]) -> bytes:
    """Return a signed file of these lines."""
    text = "".join(f"{line}\n" for line in lines).encode("ascii")
    digest = _digest(text)
    return text + b"--\n" + digest + b"\n" + sign(digest)


def _digest(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
