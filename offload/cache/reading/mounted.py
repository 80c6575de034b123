"""Mounts one image; a process of its own, which ends with whoever has started it.

Standard input is a line of JSON (``settings``, ``folder``, ``image``, ``where``); its
end means that the mount is needed no more. ``ready`` on standard output means that it
is there; an error is one line on standard error, and the exit code as documented for
``offload-cache``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from facility.errors import ExitCode, FacilityError
from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.mounting import serve, unmount
from offload.cache.reading.settings import RepositorySettings


def main() -> int:
    """Mount until standard input ends or somebody unmounts."""
    order = json.loads(sys.stdin.buffer.readline())
    settings = RepositorySettings.model_validate(order["settings"])
    where = Path(order["where"])
    try:
        with RepositoryCache(Path(order["folder"]), settings) as cache:
            threading.Thread(target=_watch, args=(where,), daemon=True).start()
            serve(cache, order["image"], where, _say_ready)
    except FacilityError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return ExitCode.OK


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _watch(where: Path) -> None:
    # Not by sys.stdin, whose lock a thread that waits would hold at the end.
    while os.read(0, 1):
        pass
    unmount(where)


if __name__ == "__main__":
    sys.exit(main())
