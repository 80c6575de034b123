"""``python -m hub_config``: the hub of the facility named by ``FACILITY_RUNTIME``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hub_config.quick_imports  # noqa: F401 - must come before jupyterhub


def main() -> None:
    """Run the hub until it is told to stop."""
    from hub_config.application import FacilityHub

    # Database and logs are nobody else's business.
    os.umask(0o077)
    config = Path(__file__).with_name("jupyterhub_config.py")
    FacilityHub.launch_instance(["--config", str(config), *sys.argv[1:]])


if __name__ == "__main__":
    main()
