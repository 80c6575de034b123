"""Why a container ended, in one word, and what it has to say about it.

Source: Kubernetes documentation, "Determine the Reason for Pod Failure": a message has
at most 4,096 bytes; without one, of a failure, the log's last 2,048 bytes or 80 lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from offload.plugins.node.folder import open_regular
from offload.plugins.node.status import Ended

MESSAGE_BYTES, FALLBACK_BYTES, FALLBACK_LINES = 4096, 2048, 80
CANNOT_RUN_CODE = 128
"""Exit code of what could not be started, as Kubernetes gives it."""
LOST = "Lost"
_SANDBOX = b"bwrap: "


def read_ending(
    exit_document: Mapping[str, object],
    *,
    termination_log: Path,
    log: Path,
    is_log_the_message: bool,
    stop_reason: str | None,
) -> Ended:
    """Interpret what the shim wrote (``exit.json``).

    Args:
        exit_document: what the shim wrote.
        termination_log: where the container may have left a message.
        log: what it wrote.
        is_log_the_message: whether the log's end is the message of a failure.
        stop_reason: why the pod was told to end, if it was.
    """
    code, number = _int(exit_document, "code"), _int(exit_document, "signal")
    began, finished = _time(exit_document, "started"), _time(exit_document, "finished")
    error = str(exit_document.get("error") or "")
    if not error and exit_document.get("sandbox_error"):
        error = _sandbox_error(log)
    if error:
        return Ended(CANNOT_RUN_CODE, 0, "ContainerCannotRun", error, began, finished)
    message = _tail(termination_log, MESSAGE_BYTES, None)
    if exit_document.get("oom"):
        reason = "OOMKilled"
    elif stop_reason is not None and exit_document.get("asked"):
        reason = stop_reason
    else:
        reason = "Error" if code else "Completed"
    if not message and code and is_log_the_message:
        message = _tail(log, FALLBACK_BYTES, FALLBACK_LINES)
    if not message and reason == "OOMKilled":
        message = "it needed more memory than it had asked for"
    return Ended(code, number, reason, message, began, finished)


def lost(began: float, finished: float) -> Ended:
    """Return the end of a run whose shim was killed: nobody knows how it ended."""
    message = "it was killed together with what watched it; its exit code is not known"
    return Ended(137, 9, LOST, message, began, finished)


def _int(document: Mapping[str, object], key: str) -> int:
    value = document.get(key)
    return value if isinstance(value, int) else 0


def _time(document: Mapping[str, object], key: str) -> float:
    value = document.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _sandbox_error(log: Path) -> str:
    lines = [
        line for line in _tail_bytes(log, FALLBACK_BYTES).splitlines()
        if line.startswith(_SANDBOX)
    ]  # fmt: skip
    if not lines:
        return "bubblewrap ended without having started it"
    return lines[-1].removeprefix(_SANDBOX).decode("utf-8", "replace")


def _tail(path: Path, size: int, lines: int | None) -> str:
    data = _tail_bytes(path, size)
    if lines is not None:
        data = b"".join(data.splitlines(keepends=True)[-lines:])
    return data.decode("utf-8", "replace")


def _tail_bytes(path: Path, size: int) -> bytes:
    try:
        with open_regular(path) as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - size))
            return file.read()
    except OSError:
        return b""
