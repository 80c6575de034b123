"""What went wrong with a remote file, whichever protocol said it and how."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from enum import StrEnum

from facility.columnar.errors import one_line


class Kind(StrEnum):
    """What a failure means for the person and for another attempt."""

    NO_HOST = "no such host"
    ABSENT = "no such file"
    FORBIDDEN = "permission denied"
    WRONG = "cannot be read in parts"
    """The server does not do what is needed: another attempt gives the same."""
    PASSING = "cannot be reached"
    """Connections that break, servers that are busy or restart."""

    @property
    def may_pass(self) -> bool:
        """Whether another attempt may succeed."""
        return self is Kind.PASSING


ADVICE = {
    Kind.NO_HOST: "check the spelling, or the network",
    Kind.ABSENT: "check the path",
    Kind.FORBIDDEN: "get a valid proxy or token for this server",
    Kind.WRONG: "copy the file here",
    Kind.PASSING: "try again later",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request."""

    kind: Kind
    said: str
    """What the other side or the library said, in one line."""


class NoRangesError(OSError):
    """A server that sends the whole file whatever part is asked for."""


_STATUS = {
    401: Kind.FORBIDDEN,
    403: Kind.FORBIDDEN,
    404: Kind.ABSENT,
    410: Kind.ABSENT,
    408: Kind.PASSING,
    425: Kind.PASSING,
    429: Kind.PASSING,
}
"""Of HTTP (RFC 9110, section 15.5); 5xx may pass, other 4xx will not."""

_XROOTD = {
    "3010": Kind.FORBIDDEN,  # kXR_NotAuthorized
    "3011": Kind.ABSENT,  # kXR_NotFound
    "3030": Kind.FORBIDDEN,  # kXR_AuthFailed
    "3005": Kind.WRONG,  # kXR_FSError: a range that is not there
    "3013": Kind.WRONG,  # kXR_Unsupported
    "3016": Kind.WRONG,  # kXR_isDirectory
}
"""Of XRootD ("The XRootD Protocol", error codes of kXR_error); others may pass."""


def failure_of(error: BaseException) -> Failure:
    """Return what an exception of fsspec or of its back ends means."""
    chain = list(_chain(error))
    said = one_line(chain[-1])
    if isinstance(chain[-1], NoRangesError):
        return Failure(Kind.WRONG, str(chain[-1]))
    for one in chain:
        status = getattr(one, "status", None)
        if isinstance(status, int):
            default = Kind.PASSING if status >= 500 else Kind.WRONG
            return Failure(_STATUS.get(status, default), f"HTTP status {status}")
        # aiohttp's resolvers differ, its own error for what they find does not.
        is_dns = type(one).__name__ == "ClientConnectorDNSError"
        if is_dns or isinstance(one, socket.gaierror):
            return Failure(Kind.NO_HOST, said)
    text = str(chain[-1])
    if "Invalid address" in text:  # XRootD, of names that do not resolve
        return Failure(Kind.NO_HOST, said)
    if code := re.search(r"\[(3\d{3})\]", text):
        return Failure(_XROOTD.get(code[1], Kind.PASSING), said)
    if "Auth failed" in text:
        return Failure(Kind.FORBIDDEN, said)
    # fsspec calls every failure of HTTP's HEAD a missing file: only the cause counts.
    if isinstance(chain[-1], FileNotFoundError):
        return Failure(Kind.ABSENT, said)
    if isinstance(chain[-1], PermissionError):
        return Failure(Kind.FORBIDDEN, said)
    return Failure(Kind.PASSING, said)


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return the exception and its causes, the first cause last."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        # aiohttp keeps the system's error in an attribute.
        inner = getattr(error, "os_error", None)
        error = error.__cause__ or (inner if isinstance(inner, OSError) else None)
    return chain
