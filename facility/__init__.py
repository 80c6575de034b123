"""Analysis Facility: notebooks, Dask clusters and batch, described by one file."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("analysis-facility")
except PackageNotFoundError:  # running from a tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
