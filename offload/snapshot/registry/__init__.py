"""Snapshots in an OCI registry elsewhere."""
