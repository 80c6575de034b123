"""Answers a registry's challenge: basic authentication, or a token of its own.

Sources: RFC 9110 (section 11), RFC 7617; "Token Authentication Specification" of the
distribution project; OAuth 2 refresh tokens as "identity tokens" there.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from offload.snapshot.registry.address import RegistryAddress, is_loopback
from offload.snapshot.registry.credentials import Credentials
from offload.snapshot.registry.errors import RegistryRefusedError

_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_CLIENT_ID = "analysis-facility"


@dataclass(slots=True)
class Login:
    """What to say in ``Authorization``; any thread may ask."""

    address: RegistryAddress
    credentials: Credentials | None
    _header: str | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def headers(self) -> dict[str, str]:
        """Return what to send with a request."""
        return {} if self._header is None else {"Authorization": self._header}

    def answer(self, client: httpx.Client, refused: httpx.Response) -> bool:
        """Take up the challenge of a response 401; return whether to ask again.

        Raises:
            RegistryRefusedError: credentials would travel where others can listen, or
                the token server says no.
            httpx.HTTPError: the token server cannot be reached.
        """
        challenge = refused.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        sent = refused.request.headers.get("Authorization")
        with self._lock:
            if self._header is not None and self._header != sent:
                return True  # another thread has been here meanwhile
            if scheme == "basic" and self.credentials is not None:
                self._require_privacy(self.address.is_private)
                header = self.credentials.basic
                is_new = header != self._header
                self._header = header
                return is_new
            if scheme == "bearer":
                parameters = {
                    match[1]: match[2] or match[3] or ""
                    for match in _PARAMETER.finditer(challenge)
                }
                self._header = f"Bearer {self._token(client, parameters)}"
                return True
        return False

    def _token(self, client: httpx.Client, parameters: dict[str, str]) -> str:
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise RegistryRefusedError(
                f"{self.address}: expected the URL of its token server, got {realm!r}"
            )
        asked = {k: v for k, v in parameters.items() if k in {"service", "scope"}}
        who = self.credentials
        if who is not None:
            self._require_privacy(parts.scheme == "https" or is_loopback(parts.netloc))
        if who is not None and who.identity_token:
            form = {
                **asked,
                "grant_type": "refresh_token",
                "client_id": _CLIENT_ID,
                "refresh_token": who.identity_token,
            }
            answer = client.post(realm, data=form)
        else:
            headers = {} if who is None else {"Authorization": who.basic}
            answer = client.get(realm, params=asked, headers=headers)
        if answer.status_code >= 500:
            answer.raise_for_status()
        try:
            data = answer.json()
            token = data.get("token") or data.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if answer.status_code != 200 or not isinstance(token, str):
            name = "nobody" if who is None else who.username
            raise RegistryRefusedError(
                f"{self.address}: its token server gives no token to {name} "
                f"(status {answer.status_code}); log in, for example with skopeo login"
            )
        return token

    def _require_privacy(self, is_private: bool) -> None:
        if not is_private:
            raise RegistryRefusedError(
                f"{self.address}: a password would travel where others can read it; "
                "use https"
            )
