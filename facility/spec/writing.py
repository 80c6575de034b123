"""Writes a facility as YAML that reads back as the same facility."""

from __future__ import annotations

import io

from ruamel.yaml import YAML

from facility.spec.models import Facility
from facility.spec.units import READABLE


def dumps(facility: Facility) -> str:
    """Return ``facility.yaml`` with every key, sizes and durations with units.

    Keys without a value are left out.
    """
    data = facility.model_dump(mode="json", exclude_none=True, context={READABLE: True})
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.dump(data, stream)
    return stream.getvalue()
