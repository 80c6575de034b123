"""``python -m hub_config.singleuser``: a person's notebook server."""

from __future__ import annotations

import hub_config.quick_imports  # noqa: F401 - must come before jupyterhub

if __name__ == "__main__":
    from jupyterhub.singleuser import main

    main()
