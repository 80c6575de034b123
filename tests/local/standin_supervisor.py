"""``python -m facility.local`` with a table of stand-ins; argv: KIND."""

import sys
from pathlib import Path

from facility.local.__main__ import main
from facility.local.table import ProcessSpec
from facility.runtime import Runtime

STANDIN = str(Path(__file__).with_name("standin.py"))


def _spec(name: str, port: int, *arguments: str, **more):
    return ProcessSpec(
        name,
        (sys.executable, "-S", "-E", STANDIN, str(port), *arguments),
        ready_urls=(f"http://127.0.0.1:{port}/",),
        **more,
    )


def table(runtime: Runtime) -> tuple[ProcessSpec, ...]:
    ports = runtime.ports
    match sys.argv[1]:
        case "two":
            return (
                _spec("hub", ports.hub, "children"),
                _spec("gateway", ports.gateway, after="hub"),
            )
        case "stubborn":
            return (_spec("hub", ports.hub, "ignore-term", grace_s=2.0),)
        case "broken":
            program = "import sys; sys.exit('no such thing as a hub')"
            return (
                _spec("gateway", ports.gateway),
                ProcessSpec(
                    "hub",
                    (sys.executable, "-S", "-c", program),
                    ready_urls=(f"http://127.0.0.1:{ports.hub}/",),
                ),
            )
    raise SystemExit(f"unknown table {sys.argv[1]}")


if __name__ == "__main__":
    sys.exit(main(table))
