"""Reads ``facility.yaml``. An absent or empty one is a facility with all defaults."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from facility.spec.diagnostics import Problem, SpecError
from facility.spec.document import parse
from facility.spec.explanation import explain
from facility.spec.models import Facility
from facility.spec.paths import DIRECTORY

FILE_NAME = "facility.yaml"
Model = TypeVar("Model", bound=BaseModel)

LARGEST_BYTES = 256 * 1024
"""Size of the largest file that is read."""


def load(path: Path) -> Facility:
    """Return the facility that a file describes.

    Args:
        path: the file; or a directory, whose ``facility.yaml`` is read if there is one.

    Raises:
        SpecError: all that is wrong with it, each problem with line and column.
    """
    file = path
    if path.is_dir():
        file = path / FILE_NAME
        if not os.path.lexists(file):
            return Facility()
    text = read_text(file)
    return loads(text, str(file), directory=file.absolute().parent)


def loads(text: str, file: str = FILE_NAME, *, directory: Path) -> Facility:
    """Return the facility that a text describes.

    Args:
        text: YAML.
        file: how problems call the text.
        directory: where relative paths in it start.

    Raises:
        SpecError: all that is wrong with it.
    """
    return validated(text, file, Facility, directory=directory)


def validated(text: str, file: str, model: type[Model], *, directory: Path) -> Model:
    """Return a text as the model that describes it; else as :func:`loads`."""
    file = file if file.isprintable() else ascii(file)
    document = parse(text, file)
    if document.problems and document.value is None:
        raise SpecError(document.problems)
    try:
        # By way of JSON, whose strict mode knows lists, paths and enumerations but
        # takes neither "4" nor true for a number.
        found = model.model_validate_json(
            json.dumps({} if document.value is None else document.value),
            strict=True,
            context={DIRECTORY: directory},
        )
    except ValidationError as error:
        problems = [*document.problems, *explain(error, document, model)]
        raise SpecError(problems) from None
    if document.problems:
        raise SpecError(document.problems)
    return found


def read_text(file: Path) -> str:
    """Return what a file holds.

    Raises:
        SpecError: it is no regular file of UTF-8 text, or too large.
    """
    try:
        # Not to wait for the writer of a pipe.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _whole(file, "expected a regular file, got something else")
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise _whole(file, f"expected a readable file, got: {why}") from None
    if len(content) > LARGEST_BYTES:
        raise _whole(file, f"expected at most {LARGEST_BYTES} bytes, got more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"expected text in UTF-8, got byte 0x{content[error.start]:02x}"
        raise SpecError([Problem(str(file), line, column, "", message)]) from None


def _whole(file: Path, message: str) -> SpecError:
    return SpecError([Problem(str(file), 0, 0, "", message)])
