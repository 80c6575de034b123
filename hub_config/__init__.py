"""JupyterHub as the facility's front door, configured by ``facility.yaml``."""
