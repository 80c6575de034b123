"""Errors as problem documents (RFC 9457), one line for people in ``detail``."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from offload.interlink.errors import PROBLEMS


class ProblemError(Exception):
    """A request that is answered with a problem.

    Args:
        status: HTTP status.
        kind: Last part of the problem's type, such as ``missing-blobs``.
        detail: What, where, expected, got, what to do: one line.
        headers: Further headers of the answer.
        members: Further members of the document.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = " ".join(detail.split())
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> JSONResponse:
        """Return the answer."""
        document = {
            "type": f"{PROBLEMS}/{self.kind}",
            "title": self.kind.replace("-", " "),
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return JSONResponse(
            document,
            status_code=self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def unknown_pod(uid: str) -> ProblemError:
    """No pod of this UID was ever accepted, or it was forgotten by age."""
    return ProblemError(
        404, "unknown-pod", f"no pod {uid[:80]!r} is known at this site"
    )
