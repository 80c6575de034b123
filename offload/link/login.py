"""How the facility logs in at a site, and how its plugin is found and started there."""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import BaseModel, ConfigDict

HOME_CONFIG = "~/.config/analysis-facility/site.yaml"
"""Where a site's configuration is there, if nobody says otherwise."""


class Login(BaseModel):
    """One account at one login node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    user: str | None = None
    port: int | None = None
    identity: str | None = None
    """Private key; a leading ``~`` is the home of the person here."""
    known_hosts: str | None = None
    """Likewise."""
    command: str = "offload-plugin"
    """How the plugin is started: words for the login shell there."""
    config: str = HOME_CONFIG
    """The plugin's configuration there; a leading ``~`` is the home there."""
    content: str | None = None
    """What is in it; ``None`` if the site has written it itself."""
    socket: str
    """The plugin's unix socket there; likewise."""

    @property
    def identity_file(self) -> Path | None:
        return None if self.identity is None else Path(self.identity).expanduser()

    @property
    def known_hosts_files(self) -> list[str]:
        """Files with host keys to trust, of those that exist."""
        names = [self.known_hosts] if self.known_hosts else list(_KNOWN_HOSTS)
        paths = [Path(name).expanduser() for name in names]
        return [str(path) for path in paths if path.is_file()]

    @property
    def certificates(self) -> list[Path]:
        """Files that hold the certificate with which we log in, if there is one."""
        identity = self.identity_file
        if identity is not None:
            return [identity.with_name(f"{identity.name}-cert.pub")]
        return sorted(Path("~/.ssh").expanduser().glob("id_*-cert.pub"))


_KNOWN_HOSTS = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
"""What ``ssh`` reads (ssh_config(5), GlobalKnownHostsFile and UserKnownHostsFile)."""


FORBIDDEN = "the-socket-is-there"


def there(path: str) -> str:
    """Write a path of the login node for a POSIX shell there."""
    if path == "~":
        return '"$HOME"'
    if path.startswith("~/"):
        return '"$HOME"/' + shlex.quote(path[2:])
    return shlex.quote(path)


def resolving(login: Login) -> str:
    """Return the command that prints the absolute path of the plugin's socket."""
    return _sh(f"printf %s {there(login.socket)}")


def writing(login: Login) -> str:
    """Return the command that writes the configuration from its standard input."""
    path = there(login.config)
    folder = there(str(Path(login.config).parent))
    return _sh(
        f"umask 077 && mkdir -p {folder} && cat >{path}.$$ && mv {path}.$$ {path}"
    )


def starting(login: Login) -> str:
    """Return the command that starts the plugin so that it outlives the login.

    Its words go to the login shell with its profile: sites put ``module load`` there.
    """
    log = there(f"{login.config}.log")
    words = f"exec {login.command} --config {there(login.config)}"
    shell = f'"${{SHELL:-/bin/sh}}" -lc {shlex.quote(words)}'
    return _sh(
        "umask 077; cd; "
        f"if command -v setsid >/dev/null; then set -- setsid; else set -- nohup; fi; "
        f'"$@" {shell} </dev/null >{log} 2>&1 &'
    )


def explaining(login: Login) -> str:
    """Return the command that prints what the plugin said last.

    Or :data:`FORBIDDEN`, if it has made its socket.
    """
    log = there(f"{login.config}.log")
    return _sh(
        f"if test -S {there(login.socket)}; then echo {FORBIDDEN}; "
        f"else tail -n 1 {log}; fi"
    )


def _sh(script: str) -> str:
    # The login shell may be any; all of them hand one quoted word to sh.
    return f"/bin/sh -c {shlex.quote(script)}"
