"""Snapshots as OCI images in a store: written, read, verified, collected."""
