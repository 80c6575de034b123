"""``python -m offload.plugins.node [--collect] POD_FOLDER``: see the package."""

from __future__ import annotations

import sys
from pathlib import Path

from offload.plugins.node.folder import ExitCode
from offload.plugins.node.wrapper import collect, run

_USAGE = (
    "usage: python -m offload.plugins.node "
    "[--collect [--reason WORD] [--message TEXT]] POD_FOLDER"
)


CRASHED = 70
"""An error that nobody foresaw (``EX_SOFTWARE``): start it again, as after a kill."""


def main(arguments: list[str]) -> int:
    """Run, or close, the pod of a folder.

    Parsed by hand: argparse takes as long to import as everything else here.
    """
    options = {"--reason": "", "--message": ""}
    is_collecting = False
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option == "--collect":
            is_collecting = True
        elif option in options and rest:
            options[option] = rest.pop(0)
        else:
            rest = []
    if len(rest) != 1 or (any(options.values()) and not is_collecting):
        print(_USAGE, file=sys.stderr)
        return ExitCode.USAGE
    folder = Path(rest[0]).absolute()
    if is_collecting:
        return collect(folder, reason=options["--reason"], message=options["--message"])
    return run(folder)


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except Exception:  # noqa: BLE001 -- Python's own exit code for it, 1, means FAILED
        import traceback

        traceback.print_exc()
        code = CRASHED
    sys.exit(code)
