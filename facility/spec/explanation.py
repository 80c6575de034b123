"""Explains what pydantic found wrong in the words of someone who edits the file."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from facility.spec.consistency import InconsistentError, Location
from facility.spec.diagnostics import Problem, nearest, shown
from facility.spec.document import Document
from facility.spec.model import ADDRESS_PATTERN, NAME_PATTERN, USER_NAME_PATTERN
from facility.spec.publishing import (
    FQRN_PATTERN,
    IMAGE_PATTERN,
    NETWORK_PATTERN,
    REGISTRY_PATTERN,
    REPOSITORY_PATTERN,
)
from facility.spec.sites import (
    ABSOLUTE_PATTERN,
    FOLDER_PATTERN,
    HOME_PATH_PATTERN,
    HOST_PATTERN,
    PUBLIC_KEY_PATTERN,
    RESOURCE_PATTERN,
    STORE_PATTERN,
    URL_PATTERN,
)

_PATTERNS = {
    ADDRESS_PATTERN: "an address such as 127.0.0.1",
    NAME_PATTERN: "lower-case letters, digits, dots and dashes (at most 63)",
    USER_NAME_PATTERN: "a login name (lower-case letters, digits, '_', '.', '-')",
    HOST_PATTERN: "a host name or an address",
    PUBLIC_KEY_PATTERN: "a public key such as 'ssh-ed25519 AAAA...'",
    RESOURCE_PATTERN: "a slice such as 1g.5gb",
    STORE_PATTERN: "a registry such as https://registry.example.org/group/snapshots",
    HOME_PATH_PATTERN: "an absolute path, or one that begins with ~/",
    ABSOLUTE_PATTERN: "an absolute path",
    URL_PATTERN: "a URL such as http://cvmfs.example.org/cvmfs/images.example.org",
    FQRN_PATTERN: "a name such as images.example.org",
    IMAGE_PATTERN: "an image such as registry.example.org/group/root:6.*",
    NETWORK_PATTERN: "a network such as 192.0.2.0/24",
    REGISTRY_PATTERN: "a registry such as https://registry.example.org",
    REPOSITORY_PATTERN: "a repository such as group/environments",
    FOLDER_PATTERN: "a folder below the home directory such as jobs",
}
_SIZE = "a size such as '50 GiB'"
_DATE = "a date such as 2026-12-31"
_KINDS = {
    "string_type": "text",
    "path_type": "a path",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a sensible size",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "byte_size": _SIZE,
    "byte_size_unit": _SIZE,
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def explain(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> Iterator[Problem]:
    """Yield a problem for each error, at the place in the document it is about."""
    for details in error.errors(include_url=False):
        location = details["loc"]
        context = details.get("ctx", {})
        cause = context.get("error")
        if location in document.unreadable:
            pass  # a problem of its own already
        elif isinstance(cause, InconsistentError):
            for found in cause.contradictions:
                yield document.problem((*location, *found.location), found.message)
        elif details["type"] == "extra_forbidden":
            yield document.problem(location, _unknown(location, model), of_key=True)
        elif details["type"] == "missing":
            message = f"missing key; expected key {location[-1]!r}, got none"
            yield document.problem(location[:-1], message)
        elif details["type"] == "too_short" and details["input"]:
            pass  # pydantic does not count items that are wrong themselves
        elif location and location[-1] == "[key]":
            yield document.problem(
                location[:-1], f"key is {_message(details, context)}", of_key=True
            )
        else:
            yield document.problem(location, _message(details, context))


def _message(details: ErrorDetails, context: Mapping[str, object]) -> str:
    kind, got = details["type"], shown(details["input"])
    if kind in _KINDS:
        return f"wrong type; expected {_KINDS[kind]}, got {got}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"out of range; expected {words} {context[key]}, got {got}"
    match kind:
        case "string_pattern_mismatch":
            expected = _PATTERNS[str(context["pattern"])]
            return f"malformed; expected {expected}, got {got}"
        case "enum" | "literal_error":
            expected = str(context["expected"])
            known = expected.replace(" or ", ", ").replace("'", "").split(", ")
            near = nearest(str(details["input"]), known)
            return f"unknown value; expected {expected}, got {got}{near}"
        case "too_short":
            return f"too few; expected at least {context['min_length']}, got none"
        case "value_error":
            return str(context["error"])
        case _:
            return f"{details['msg']}, got {got}"


def _unknown(location: Location, model: type[BaseModel]) -> str:
    key = str(location[-1])
    known = _keys_at(location[:-1], model)
    return (
        f"unknown key; expected one of {', '.join(known)}, got {shown(key)}"
        f"{nearest(key, known)}"
    )


def _keys_at(location: Location, model: type[BaseModel]) -> list[str]:
    """Return the keys that the model at a location of the file has."""
    annotation: object = model
    for part in location:
        annotation = _inside(annotation, part)
    found = _model(annotation)
    return list(found.model_fields) if found else []


def _inside(annotation: object, part: str | int) -> object:
    """Return the type of one key or item of a value of that type."""
    if model := _model(annotation):
        return model.model_fields[str(part)].annotation
    arguments = typing.get_args(annotation)
    return arguments[0] if isinstance(part, int) else arguments[-1]


def _model(annotation: object) -> type[BaseModel] | None:
    """Return the model that a type is, or is if it is not None."""
    is_container = typing.get_origin(annotation) in {tuple, dict}
    choices = () if is_container else typing.get_args(annotation)
    for choice in (annotation, *choices):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None
