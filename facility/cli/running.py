"""One run of the command: exit codes, and errors as one line or as a problem."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from typer.exceptions import TyperException

from facility.cli.application import app
from facility.errors import ExitCode, FacilityError


def run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code. Never raises, whatever was typed."""
    as_json = "--json" in arguments
    try:
        result = app(args=list(arguments), prog_name="facility", standalone_mode=False)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except FacilityError as error:
        _report(str(error), error.exit_code, as_json=as_json)
        return error.exit_code
    except TyperException as error:
        if error.format_message():  # else its help has been shown
            _report(_with_help(error), ExitCode.USAGE, as_json=as_json)
        return ExitCode.USAGE
    except OSError as error:  # a full disk, a missing right: says what and where
        _report(_describe(error), ExitCode.USAGE, as_json=as_json)
        return ExitCode.USAGE
    except Exception as error:  # noqa: BLE001 - the last resort: a report, no traceback
        path = _write_report(arguments)
        _report(
            f"unexpected {type(error).__name__}: {error} (report: {path})",
            ExitCode.FAILED,
            as_json=as_json,
        )
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def _report(message: str, code: int, *, as_json: bool) -> None:
    """Write the error: lines on stderr, or one problem (RFC 9457) on stdout."""
    if as_json:
        problem = {
            "type": "about:blank",
            "title": ExitCode(code).name.lower().replace("_", " "),
            "detail": message,
            "exit_code": int(code),
        }
        sys.stdout.write(json.dumps(problem) + "\n")
        return
    for line in message.splitlines():
        sys.stderr.write(f"facility: {line}\n")


def _with_help(error: TyperException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or message.endswith("?"):
        return message
    return f"{message} (`{context.command_path} --help` says what there is)"


def _describe(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _write_report(arguments: Sequence[str]) -> Path | str:
    from facility.local.files import ensure_private_directory
    from facility.local.paths import home

    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = home() / "reports" / f"{stamp}-{os.getpid()}.txt"
    text = f"facility {' '.join(arguments)}\n\n{traceback.format_exc()}"
    try:
        ensure_private_directory(path.parent)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (OSError, FacilityError) as error:
        return f"none, {error}"
    return path
