"""The digest of an analysis: equal for equal code, whatever the session.

Pickles will not do: they hold line numbers and differ from one process to the next.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import hist
import numpy as np

_PLAIN = (bool, int, float, complex, str, bytes, types.NoneType)
_NAMES_OF_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")


@runtime_checkable
class Digested(Protocol):
    """An object that says itself what of it makes the result, as a kernel's body does."""

    def digest_parts(self) -> Iterable[Any]:
        """Return what :func:`code_digest` covers: text, numbers, functions ..."""


def code_digest(analysis: Callable[..., Any]) -> str:
    """Return the sha256 of an analysis and of what it refers to.

    Covered, recursively: of functions the bytecode, constants, defaults, closures and
    the globals that they use; classes and objects of them; plain values, numpy arrays,
    histograms and dataclasses; of a kernel the text of its body and what that captured.
    Of functions and classes of installed packages only the name: the environment's
    digest has their versions. Not covered: the contents of other objects.
    """
    digest = hashlib.sha256()
    for piece in _pieces(analysis, {}):
        digest.update(piece.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _pieces(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    if not isinstance(value, _PLAIN):
        if id(value) in seen:
            return
        seen[id(value)] = value  # kept: what is gone gives its number to others
    parts = _parts_of_code(value)
    if parts is None:
        parts = _parts_of_data(value)
    if parts is None:
        yield _leaf(value)
    for part in parts or ():
        yield from _pieces(part, seen)


def _parts_of_code(value: Any) -> Iterable[Any] | None:
    """Return what makes up a person's function or class; none for all else."""
    match value:
        case types.FunctionType() if _is_personal(value):
            return chain(_code(value.__code__), _referred(value))
        case type() if _is_personal(value):
            return chain((value.__qualname__,), _members(value))
        case types.MethodType():
            return (value.__func__, value.__self__)
        case partial():
            return (value.func, value.args, value.keywords)
        case _:
            return None


def _parts_of_data(value: Any) -> Iterable[Any] | None:
    """Return what an object consists of; none for those known by name or text."""
    match value:
        case type():
            return None
        case Digested():
            return value.digest_parts()
        case Mapping():
            return chain.from_iterable(value.items())
        case tuple() | list():
            return value
        case hist.Hist():
            axes = [f"{axis!r} {axis.name} {axis.label}" for axis in value.axes]
            return (axes, value.storage_type, np.asarray(value.view(flow=True)))
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return (type(value), *(getattr(value, field.name) for field in fields))
        case _ if _is_personal(type(value)):
            return (type(value), getattr(value, "__dict__", {}))
        case _:
            return None


def _is_personal(named: Any) -> bool:
    """Whether a function or class is of a person's notebook, script or module."""
    module = named.__module__
    if module is None or module == "__main__" or module not in sys.modules:
        return True
    return _is_personal_module(module)


def _is_personal_module(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    if (
        not isinstance(file, str)
        or name.partition(".")[0] == __name__.partition(".")[0]
    ):
        return False
    return not file.startswith(_installed())


def personal_modules() -> list[types.ModuleType]:
    """Return the imported modules that are a person's own: not installed, not main."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and _is_personal_module(name)
    ]


@cache
def _installed() -> tuple[str, ...]:
    """Return where Python keeps its own modules and installed ones."""
    return tuple({f"{sysconfig.get_path(name)}/" for name in _NAMES_OF_INSTALLED})


def _leaf(value: Any) -> str:
    """Return plain values and arrays by content, all else by name."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__}:{value!r}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = hashlib.sha256(value.tobytes()).hexdigest()
        return f"array:{value.dtype.str}:{value.shape}:{content}"
    # Functions, ufuncs, classes and modules have names; other objects their class's.
    for named in (value, type(value)):
        name = getattr(named, "__qualname__", None) or getattr(named, "__name__", None)
        if name is not None:
            break
    return f"object:{getattr(named, '__module__', None)}.{name}"


def _referred(function: types.FunctionType) -> Iterator[Any]:
    """Yield defaults, closure and the globals by name that a function uses."""
    yield from function.__defaults__ or ()
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name
            yield function.__globals__[name]


def _members(kind: type) -> Iterator[Any]:
    """Yield bases, and methods and values by name, but not what Python itself adds."""
    yield kind.__bases__
    for name, member in sorted(vars(kind).items()):
        match member:
            case staticmethod() | classmethod():
                yield name
                yield member.__func__
            case property():
                yield name
                yield (member.fget, member.fset)
            case types.FunctionType():
                yield name
                yield member
            case _ if isinstance(member, _PLAIN) and name not in _OF_PLACE:
                yield name
                yield member


_OF_PLACE = ("__module__", "__doc__", "__firstlineno__")
"""Members of a class that say where it is written, or are for readers."""


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):  # its order is not fixed
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the globals that a function may use, those of inner functions too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
