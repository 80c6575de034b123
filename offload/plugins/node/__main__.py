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


def main(arguments: list[str]) -> ExitCode:
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
    sys.exit(main(sys.argv[1:]))
