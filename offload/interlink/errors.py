"""What may go wrong between a caller and a plugin, as data."""

from __future__ import annotations

from collections.abc import Mapping

from facility.errors import FacilityError

PROBLEMS = "https://analysis-facility.invalid/problems"
"""Prefix of the ``type`` of our problem documents (RFC 9457)."""


class InterlinkError(FacilityError):
    """A plugin could not be asked, refused, or answered something else."""


class PluginUnreachableError(InterlinkError):
    """Nobody answered in time. Whether the request had an effect is not known."""


class MalformedAnswerError(InterlinkError):
    """The plugin answered what the protocol does not have."""


class PluginRefusedError(InterlinkError):
    """The plugin answered with an error.

    Args:
        request: Method and path, for people.
        status: HTTP status.
        problem: The problem document (RFC 9457); empty if it sent none.
        text: What it sent instead.
    """

    def __init__(
        self, request: str, status: int, problem: Mapping[str, object], text: str
    ) -> None:
        self.request = request
        self.status = status
        self.problem = problem
        detail = problem.get("detail") or problem.get("title") or text.strip()
        self.detail = " ".join(str(detail).split())[:500]
        """One line of the plugin's own words."""
        super().__init__(f"plugin refused {request} ({status}): {self.detail}")

    @property
    def kind(self) -> str:
        """Last part of the problem's ``type``, such as ``missing-blobs``."""
        return str(self.problem.get("type", "")).rpartition("/")[2]


class UnsupportedError(PluginRefusedError):
    """The plugin has no such call: it is not ours, or older."""


class UnknownPodError(PluginRefusedError):
    """The plugin knows no pod of this UID."""


class MissingBlobsError(PluginRefusedError):
    """Blobs of the pod's snapshot have to be sent before the pod."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Digests of what is not there yet."""
        digests = self.problem.get("missing")
        return tuple(map(str, digests)) if isinstance(digests, list) else ()


class NotReadyError(PluginRefusedError):
    """What is asked for does not exist yet: ask again later."""


class NoSpaceError(PluginRefusedError):
    """The site has no room for what was sent."""


class ImpossibleError(PluginRefusedError):
    """The site can never do what is asked for; :attr:`detail` says why."""


class WrongOffsetError(PluginRefusedError):
    """Bytes were sent for the wrong place of a blob.

    Args:
        offset: How many bytes the plugin has: where to go on.
    """

    def __init__(
        self,
        request: str,
        status: int,
        problem: Mapping[str, object],
        text: str,
        offset: int,
    ) -> None:
        super().__init__(request, status, problem, text)
        self.offset = offset
