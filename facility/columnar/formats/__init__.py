"""TTree, RNTuple and Parquet as columns of entries."""

from facility.columnar.buffers import Buffers
from facility.columnar.formats.base import ColumnFile, FileIdentity
from facility.columnar.formats.opening import keep, open_columns, reopen

__all__ = ["Buffers", "ColumnFile", "FileIdentity", "keep", "open_columns", "reopen"]
