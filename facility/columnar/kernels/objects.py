"""Collections of events as records with four-vector properties."""

from __future__ import annotations

from typing import Any

import awkward as ak

from facility.columnar.errors import AnalysisError
from facility.columnar.events import Collection
from facility.columnar.kernels.fourvectors import NAME
from facility.columnar.schemas.coordinates import coordinates_of


def objects(collection: Collection | ak.Array, *fields: str) -> ak.Array:
    """Return the four-vectors of a collection, with the named fields beside them.

    ``muons = objects(events.Muon, "charge")``: whatever the file's spelling, they have
    ``pt``, ``eta``, ``phi``, ``mass``, ``px`` ... (see
    :func:`facility.columnar.kernels.four_vectors`). Only the four columns of the
    four-momentum and the named ones are read.

    Args:
        collection: of events, jagged or one per event; or awkward records, such as
            those of NanoEvents.
        fields: other columns of it.

    Raises:
        AnalysisError: its fields make no four-vector.
        MissingBranchError: it has no such field.
    """
    if isinstance(collection, ak.Array):
        coordinates = coordinates_of(ak.fields(collection))
        names = ak.fields(collection)
    else:
        coordinates = collection._shape.coordinates
        names = list(collection._shape.fields)
    if coordinates is None:
        raise AnalysisError(
            "a four-vector needs pt eta phi or px py pz, and mass or energy; the "
            f"collection has {', '.join(names)}: use four_vectors(pt=..., ...)"
        )
    columns: dict[str, Any] = {
        component: getattr(collection, field) if isinstance(field, str) else field
        for component, field in coordinates
    }
    columns |= {field: getattr(collection, field) for field in fields}
    depth = max(getattr(column, "ndim", 0) for column in columns.values())
    return ak.zip(columns, depth_limit=min(depth, 2), with_name=NAME)
