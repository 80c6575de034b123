"""Objects that are near others in eta and phi."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np

from facility.columnar.kernels.kinematics import delta_r


def is_near(objects: Any, others: Any, within: float) -> ak.Array:
    """Return, per object, whether any of the event's others has delta R < ``within``.

    Jagged booleans with the counts of ``objects``; False where there are no others.

    Args:
        objects: what has jagged ``eta`` and ``phi``.
        others: likewise; NaN is near nothing.
        within: distance, exclusive.
    """
    return ak.any(_distances(objects, others) < within, axis=-1)


def cleaned(objects: ak.Array, others: Any, within: float) -> ak.Array:
    """Return the objects that have none of the others within delta R ``within``."""
    return objects[~is_near(objects, others, within)]


def nearest(objects: Any, others: ak.Array, within: float = np.inf) -> ak.Array:
    """Return, per object, the event's other that is nearest in delta R.

    With the counts of ``objects``; None where no other has delta R < ``within``. Of
    equally near ones the first wins; an other may be nearest to several objects.
    """
    distances = _distances(objects, others)
    distances = ak.where(distances < within, distances, np.inf)
    index = ak.argmin(distances, axis=-1)
    found = ak.min(distances, axis=-1)
    return others[ak.mask(index, ak.fill_none(found < np.inf, False))]


def _distances(objects: Any, others: Any) -> ak.Array:
    """Return delta R as ``events * objects * others``."""
    first, second = (
        ak.zip({"eta": side.eta, "phi": side.phi}) for side in (objects, others)
    )
    return delta_r(*ak.unzip(ak.cartesian((first, second), axis=1, nested=True)))
