"""Files at URLs: ``root://`` by XRootD, ``http(s)://``, and what else fsspec reads."""

from facility.columnar.remote.files import RemoteFile
from facility.columnar.remote.opening import RemoteInfo, one_opening
from facility.columnar.remote.urls import Location, is_remote, shown

__all__ = ["Location", "RemoteFile", "RemoteInfo", "is_remote", "one_opening", "shown"]
