"""Others' data by exact version and sha256, kept in a cache; and a seeded sample.

``path("zmumu")`` returns a verified file, and fetches it first if it must.
"""

from facility.samples.fetching import ensure, fetch, is_cached, path
from facility.samples.registry import (
    SAMPLES,
    Experiment,
    Kind,
    Package,
    Sample,
    sample,
)

__all__ = [
    "SAMPLES",
    "Experiment",
    "Kind",
    "Package",
    "Sample",
    "ensure",
    "fetch",
    "is_cached",
    "path",
    "sample",
]
