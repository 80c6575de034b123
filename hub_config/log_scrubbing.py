"""No token in the hub's log.

JupyterHub hides tokens in the lines it writes about requests, but not in those that
Tornado writes about requests that failed: ``403 GET /hub/login?token=...``.
"""

from __future__ import annotations

import logging
import re

_PARAMETER = re.compile(r"(?<=[?&])([\w.-]*(?:token|code|state|_xsrf))=[^&\s'\")]+")


def scrub(text: str) -> str:
    """Return the text with the values of secret query parameters left out."""
    return _PARAMETER.sub(r"\1=[secret]", text)


def scrub_record(record: logging.LogRecord) -> bool:
    """Scrub a log record; as a filter of a handler it lets every record pass."""
    message = record.getMessage()
    if "=" in message:
        record.msg, record.args = scrub(message), ()
    return True
