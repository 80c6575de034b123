"""What servers and libraries say becomes one of few kinds, and one line."""

import socket

import pytest

from facility.columnar.remote.failures import Kind, NoRangesError, failure_of


class StatusError(Exception):
    def __init__(self, status):
        super().__init__("message")
        self.status = status


class ClientConnectorDNSError(OSError):
    pass


def caused(outer, cause):
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StatusError(404), Kind.ABSENT),
        (StatusError(403), Kind.FORBIDDEN),
        (StatusError(429), Kind.PASSING),
        (StatusError(503), Kind.PASSING),
        (StatusError(405), Kind.WRONG),
        (caused(FileNotFoundError("url"), StatusError(503)), Kind.PASSING),
        (caused(FileNotFoundError("url"), ClientConnectorDNSError()), Kind.NO_HOST),
        (caused(FileNotFoundError("u"), ConnectionRefusedError()), Kind.PASSING),
        (socket.gaierror(-2, "Name or service not known"), Kind.NO_HOST),
        (FileNotFoundError("url"), Kind.ABSENT),
        (PermissionError("url"), Kind.FORBIDDEN),
        (TimeoutError(), Kind.PASSING),
        (NoRangesError("asked for 4 bytes, got 9"), Kind.WRONG),
        (OSError("stat failed: [ERROR] Server: [3011] Unable to locate"), Kind.ABSENT),
        (OSError("open: [ERROR] Server: [3010] permission denied"), Kind.FORBIDDEN),
        (OSError("open: [FATAL] Auth failed: No protocols left"), Kind.FORBIDDEN),
        (OSError("submit <bound ...> request: [FATAL] Invalid address"), Kind.NO_HOST),
        (OSError("readv: [3005] illegal seek"), Kind.WRONG),
        (OSError("open: [FATAL] Connection error"), Kind.PASSING),
        (OSError("open: [ERROR] Server: [3007] I/O error"), Kind.PASSING),
    ],
)
def test_kinds(error, kind):
    failure = failure_of(error)
    assert failure.kind is kind
    assert failure.said
    assert "\n" not in failure.said
