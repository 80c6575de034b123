"""Small files that are there whole or not at all, whatever happens to who writes them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, data: bytes, *, is_durable: bool = False) -> None:
    """Put a file in place at once.

    What a killed process leaves is a hidden file beside it; what fails leaves nothing.

    Args:
        path: in a folder that exists.
        data: all of it.
        is_durable: whether it outlives the machine's crash once this has returned.

    Raises:
        OSError: the disk is full, say; what was there before still is.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(data)
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if is_durable:
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
