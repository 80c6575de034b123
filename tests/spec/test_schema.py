"""The schema says of a file what the loader says of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from facility.spec import Facility, SpecError, dumps, loads, schema

ACCEPTED = [
    "{}",
    "name: a\n",
    "gateway: {scheduler_memory: 2 GiB, idle_timeout: 30 min}\n",
    "gateway: {scheduler_memory: 2147483648, idle_timeout: 1.5}\n",
    "gateway: {scheduler_memory: 2gib, idle_timeout: 1 Day}\n",
    "hub: {port: 8000, authenticator: pam}\n",
    "groups: {cms: {users: [bob], ceiling: {workers: 4}}}\n",
    "profiles: [{name: a, environment: env, server: {cores: 2}}]\n",
]
REFUSED = [
    "nmae: a\n",
    "name: A B\n",
    "hub: {port: 65536}\n",
    "hub: {port: '80'}\n",
    "hub: {port: true}\n",
    "hub: {authenticator: pma}\n",
    "gateway: {scheduler_memory: 2 GiBs}\n",
    "gateway: {scheduler_memory: -1}\n",
    "gateway: {scheduler_memory: true}\n",
    "gateway: {idle_timeout: soon}\n",
    "gateway: {idle_timeout: 2 GiB}\n",
    "profiles: []\n",
    "profiles: [{title: a}]\n",
    "version: 2\n",
    "[]",
]


def _is_valid(text: str) -> bool:
    value = YAML(typ="safe", pure=True).load(io.StringIO(text))
    return bool(Draft202012Validator(schema()).is_valid(value))


def test_it_is_a_schema_of_its_dialect() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", [*ACCEPTED, dumps(Facility())])
def test_schema_and_loader_accept(text: str) -> None:
    assert _is_valid(text)
    loads(text, directory=Path("/"))


@pytest.mark.parametrize("text", REFUSED)
def test_schema_and_loader_refuse(text: str) -> None:
    assert not _is_valid(text)
    with pytest.raises(SpecError):
        loads(text, directory=Path("/"))


def _undescribed(whole: dict[str, Any]) -> Iterator[str]:
    models = {"Facility": whole, **whole["$defs"]}
    for model, content in models.items():
        for key, value in content.get("properties", {}).items():
            # A section whose description is that of its model only refers to it.
            target = models.get(str(value.get("$ref")).rpartition("/")[2], {})
            if not (value.get("description") or target.get("description")):
                yield f"{model}.{key}"


def test_every_key_is_described() -> None:
    assert list(_undescribed(schema())) == []
