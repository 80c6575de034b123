"""Why an SSH connection cannot be had, in words that a person can act on."""

from __future__ import annotations

import asyncssh

FAILURES = (
    OSError,
    asyncssh.Error,
    asyncssh.ChannelListenError,
    asyncssh.ConfigParseError,
    asyncssh.KeyEncryptionError,
    asyncssh.KeyImportError,
)
"""What connecting may raise."""


def explain(error: BaseException, where: str) -> str:
    """Return one line about an error of a connection to ``where``."""
    said = " ".join(str(error).split())
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return (
                f"the host key of {where} is not a trusted one ({said}): compare it "
                "with what its owner publishes, then add it to known_hosts"
            )
        case asyncssh.PermissionDenied():
            return f"{where} accepts no key that it was offered"
        case asyncssh.KeyExchangeFailed():
            return f"{where} and this machine have no SSH algorithm in common: {said}"
        case asyncssh.KeyEncryptionError() | asyncssh.KeyImportError():
            return (
                f"a private key for {where} cannot be used without a person ({said}): "
                "name one without a passphrase, or one that an agent holds"
            )
        case asyncssh.ChannelListenError():
            return f"{where} refuses to forward the plugin's socket"
        case TimeoutError():
            return f"{where} does not answer"
        case asyncssh.ConnectionLost() | asyncssh.DisconnectError():
            return f"{where} closed the connection: {said}"
        case OSError():
            return f"{where} cannot be reached: {error.strerror or said}"
        case _:
            return f"{where}: {said}"
