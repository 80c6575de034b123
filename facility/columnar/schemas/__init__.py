"""How branch names become objects: NanoAOD, PHYSLITE, LHCb's flat ntuples, others."""

from facility.columnar.schemas.coordinates import Coordinates
from facility.columnar.schemas.experiments import SCHEMAS
from facility.columnar.schemas.objects import Objects, Shape, objects_of
from facility.columnar.schemas.schema import Schema, schema_named

__all__ = [
    "SCHEMAS",
    "Coordinates",
    "Objects",
    "Schema",
    "Shape",
    "objects_of",
    "schema_named",
]
