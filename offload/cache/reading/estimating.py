"""What is known of an image before a job starts, so that it can be told what is sooner."""

from __future__ import annotations

from collections.abc import Collection

from offload.cache.reading.bundles import path_of
from offload.cache.reading.cache import RepositoryCache
from offload.cache.reading.choosing import Amount, Situation
from offload.cache.reading.errors import AbsentError
from offload.cache.reading.paths import image_path, layer_path


def situation(
    cache: RepositoryCache,
    image: str,
    *,
    can_mount: bool,
    layers: Collection[str] | None = None,
) -> Situation:
    """Return what the ways to have an image depend on.

    Args:
        cache: that would show it.
        image: digest of its manifest.
        can_mount: whether it can be shown lazily.
        layers: digests of those that it lacks here, if it is wanted layer by layer.

    Raises:
        CacheError: no revision is known.
        AbsentError: it has no such image, or layer.
    """
    view = cache.view()
    wanted = [image_path(image), *map(layer_path, layers or ())]
    if any(view.find(path) is None for path in wanted):
        raise AbsentError(f"{image[:19]}: no image of {cache.settings.fqrn}")
    amount, *parts = (
        Amount(counters.regular, counters.file_size)
        for counters in map(view.counters, wanted)
    )
    if layers is not None:
        missing = Amount(sum(p.files for p in parts), sum(p.size for p in parts))
    else:
        missing = Amount(0, 0) if cache.has_image(image) else amount
    return Situation(
        amount,
        missing,
        cache.read_before(image, view),
        cache.pace,
        cache.settings.connections,
        view.find(path_of(image)) is not None,
        can_mount,
    )
