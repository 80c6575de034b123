"""Analysis Facility: notebooks, Dask clusters and batch, described by one file."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: 25 ms that most imports save."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("analysis-facility")
    except PackageNotFoundError:  # running from a tree that was never installed
        return "0+unknown"
