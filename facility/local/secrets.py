"""The secrets that the processes of a facility share, one file of mode 0600 each."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from facility.local.files import (
    create_file,
    ensure_private_directory,
    replace_file,
)


def _hex() -> str:
    return secrets.token_hex(32)


def _key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


MAKERS: dict[str, Callable[[], str]] = {
    "proxy-token": _hex,
    "hub-cookie": _hex,
    "hub-crypt": _hex,
    "gateway-hub-token": _hex,
    "gateway-db-key": _key,
    "gateway-proxy-token": _hex,
    "admin-token": _hex,
    "publisher-events": _hex,
    "publisher-tokens": _hex,
}
"""Every secret's file name and how it is made."""


def ensure_host_key(path: Path) -> None:
    """Create the key by which sites that dial in know the facility, if it is missing.

    A private key of OpenSSH; the public one is beside it, ``.pub``. It never changes:
    sites would take another one for an impostor's.
    """
    # Facilities where no site dials in need no SSH library.
    import asyncssh

    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519", comment="analysis-facility")
        with suppress(FileExistsError):
            create_file(path, key.export_private_key().decode())
    public = asyncssh.read_private_key(str(path)).export_public_key().decode()
    replace_file(path.with_suffix(".pub"), public)


def ensure_secrets(secrets_dir: Path) -> None:
    """Create the secrets that are missing; a secret never changes once it is there.

    Of two concurrent calls both use the one that was there first. A file that others
    could read (restored from a backup, say) is closed to them.
    """
    ensure_private_directory(secrets_dir)
    for name, make in MAKERS.items():
        path = secrets_dir / name
        if not path.exists():
            with suppress(FileExistsError):
                create_file(path, make())
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            path.chmod(0o600)
