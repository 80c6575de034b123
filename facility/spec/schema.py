"""JSON Schema of ``facility.yaml``, for editors and for other programs."""

from __future__ import annotations

from pydantic import JsonValue

from facility.spec.models import Facility

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, JsonValue]:
    """Return the schema (Draft 2020-12): every key with its description and default.

    It takes what :func:`facility.spec.load` takes, but for what contradicts
    itself across keys and for keys without a value.
    """
    return {"$schema": DIALECT, **Facility.model_json_schema()}
