"""Who may log in, and how: a one-time link, the system's passwords or a provider."""

from __future__ import annotations

import os
import stat
import time
from importlib.util import find_spec
from pathlib import Path

from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from tornado.web import HTTPError
from traitlets import Unicode
from traitlets.config import Config

from facility.errors import UsageError
from facility.runtime import Runtime
from facility.spec import AuthenticatorKind
from hub_config.loopback import came_from_here
from hub_config.tokens import redeem

USERNAME_PATTERN = r"^[a-z_][a-z0-9_.-]{0,31}\Z"
"""What the hub accepts as a name: no slash, no dot first, as in ``facility.yaml``."""

_FORWARDED = ("X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "Forwarded-For")

_LOGIN_PAGE = """
<div class="container">
  {% if login_error %}<p class="login_error" role="alert">{{ login_error }}</p>
  {% endif %}
  <p>Logging in takes a link that works once. Type this where the facility runs:</p>
  <pre>facility token</pre>
  <p>and open the link that it prints.</p>
</div>
"""


class OneTimeLinkHandler(LoginHandler):
    """``GET /hub/login?token=...`` logs in; without a token it says how to get one."""

    async def get(self) -> None:
        token = self.get_argument("token", None)
        if token is None or self.current_user is not None:
            # Who is logged in and opens his link again goes on to his server.
            await super().get()
            return
        user = await self.login_user({"token": token})
        if user is None:
            self.set_status(403)
            self.finish(
                await self._render(login_error="This link has been used or is too old.")
            )
            return
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    async def post(self) -> None:
        raise HTTPError(405, "There is no password here: open a one-time link.")

    def append_query_parameters(
        self,
        url: str,
        exclude: object = None,  # noqa: ARG002 - the stock hub's signature
    ) -> str:
        # The stock hub carries the query over, and with it the token, to the next page.
        return url


class OneTimeLinkAuthenticator(Authenticator):
    """Lets in who holds a one-time link made on this machine.

    Requests that did not come over loopback are refused before the token is looked
    at, so it stays good for its owner.
    """

    secrets_dir = Unicode(help="Folder of the secrets.").tag(config=True)

    def get_handlers(
        self,
        app: object,  # noqa: ARG002 - the stock hub's signature
    ) -> list[tuple[str, type[LoginHandler]]]:
        return [("/login", OneTimeLinkHandler)]

    def get_custom_html(
        self,
        base_url: str,  # noqa: ARG002 - the stock hub's signature
    ) -> str:
        return _LOGIN_PAGE

    def normalize_username(self, username: str) -> str:
        # Login names of the system are case-sensitive.
        return username

    async def authenticate(
        self, handler: LoginHandler, data: dict[str, str]
    ) -> str | None:
        request = handler.request
        forwarded = [
            value for name in _FORWARDED for value in request.headers.get_list(name)
        ]
        if not came_from_here(request.remote_ip, forwarded):
            raise HTTPError(403, "One-time links work on the facility's machine only.")
        return redeem(Path(self.secrets_dir), data.get("token", ""), now=time.time())


def settings(runtime: Runtime) -> Config:
    """Return the authenticator's part of the hub's configuration.

    Raises:
        UsageError: the chosen authenticator cannot work here.
    """
    config = Config()
    users = runtime.spec.users
    allowed = set(users.allowed) or {runtime.owner}
    strangers = allowed - {runtime.owner}
    if strangers and not runtime.multi_user:
        raise UsageError(
            f"users.allowed names {min(strangers)!r}, but the facility runs as "
            f"{runtime.owner!r} and can start servers for that user only: run it as "
            "root or remove the name"
        )
    config.Authenticator.allowed_users = allowed
    config.Authenticator.admin_users = set(users.admins)
    match runtime.spec.hub.authenticator:
        case AuthenticatorKind.ONE_PERSON:
            config.JupyterHub.authenticator_class = OneTimeLinkAuthenticator
            config.OneTimeLinkAuthenticator.secrets_dir = str(runtime.secrets_dir)
        case AuthenticatorKind.PAM:
            config.JupyterHub.authenticator_class = "pam"
            config.Authenticator.username_pattern = USERNAME_PATTERN
            # Opening PAM sessions needs a matching close in the same process, which a
            # hub that may be killed cannot promise.
            config.PAMAuthenticator.open_sessions = False
        case AuthenticatorKind.OAUTH:
            config.merge(_oauth(runtime))
    return config


def _oauth(runtime: Runtime) -> Config:
    provider = runtime.spec.hub.oauth
    assert provider is not None, "the model requires it"
    if find_spec("oauthenticator") is None:
        raise UsageError(
            "hub.authenticator 'oauth' needs the package oauthenticator, which is not "
            "installed: pip install 'analysis-facility[oauth]'"
        )
    config = Config()
    config.JupyterHub.authenticator_class = "generic-oauth"
    config.Authenticator.username_pattern = USERNAME_PATTERN
    config.GenericOAuthenticator = Config(
        authorize_url=provider.authorize_url,
        token_url=provider.token_url,
        userdata_url=provider.userdata_url,
        client_id=provider.client_id,
        client_secret=_private_text(provider.client_secret_file),
        username_claim=provider.username_claim,
        scope=list(provider.scope),
        oauth_callback_url=f"{runtime.public_url}/hub/oauth_callback",
    )
    return config


def _private_text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise UsageError(
            f"hub.oauth.client_secret_file {path}: {os.strerror(error.errno or 0)}"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise UsageError(
            f"hub.oauth.client_secret_file {path} has mode {stat.S_IMODE(mode):04o}: "
            f"others can read it, chmod 600 {path}"
        )
    return text
