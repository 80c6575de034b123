"""``python -m hub_config``: the hub of the facility named by ``FACILITY_RUNTIME``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hub_config.quick_imports  # noqa: F401 - must come before jupyterhub
from facility.errors import UsageError
from facility.runtime import Runtime


def main() -> int:
    """Run the hub until it is told to stop; 2 if the facility's file does not fit."""
    from hub_config import authentication
    from hub_config.application import FacilityHub

    try:
        # JupyterHub would bury the line in a traceback.
        authentication.settings(Runtime.from_environment())
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    # Database and logs are nobody else's business.
    os.umask(0o077)
    config = Path(__file__).with_name("jupyterhub_config.py")
    FacilityHub.launch_instance(["--config", str(config), *sys.argv[1:]])
    return 0


if __name__ == "__main__":
    sys.exit(main())
