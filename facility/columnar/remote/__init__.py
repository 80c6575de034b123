"""Files at URLs: ``root://`` by XRootD, ``http(s)://``, and what else fsspec reads."""

from facility.columnar.remote.files import RemoteFile, RemoteInfo
from facility.columnar.remote.urls import Location, is_remote, shown

__all__ = ["Location", "RemoteFile", "RemoteInfo", "is_remote", "shown"]
