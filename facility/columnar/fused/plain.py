"""A body as a Python function that computes as compiled code does.

Its lines are those of the file, so that debuggers stop in them; in between, numbers
are numpy's 64-bit scalars, and ``math`` follows IEEE 754 instead of raising.
"""

from __future__ import annotations

import ast
import builtins
import math
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from facility.columnar.fused import arithmetic, ieee
from facility.columnar.fused.body import Body
from facility.columnar.fused.runtime import bind

FORMULAS = bind(lambda function: function, math=ieee.MATH)
"""What generated code calls, in Python."""


def number(value: Any) -> Any:
    """Return Python's numbers as numpy's, of 64 bits; everything else as it is."""
    if type(value) is int or isinstance(value, np.integer):
        return np.int64(value)
    if isinstance(value, float | np.floating):
        return np.float64(value)
    return value


def _quotient(a: Any, b: Any) -> Any:
    is_float = isinstance(a, float) or isinstance(b, float)
    return number(FORMULAS["float_quotient" if is_float else "integer_quotient"](a, b))


def _remainder(a: Any, b: Any) -> Any:
    is_float = isinstance(a, float) or isinstance(b, float)
    kind = "float_remainder" if is_float else "integer_remainder"
    return number(FORMULAS[kind](number(a), number(b)))


def _power(a: Any, b: Any) -> Any:
    if type(b) is np.int64 and 0 < b <= arithmetic.LARGEST_POWER:
        return number(FORMULAS["whole_power"](number(a), int(b)))
    return ieee.FUNCTIONS["pow"](a, b)


def _sum(items: Iterable[Any]) -> Any:
    total = np.int64(0)
    for item in items:
        total = total + item
    return total


_OPERATORS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Pow: ("power ", _power),
    ast.FloorDiv: ("quotient ", _quotient),
    ast.Mod: ("remainder ", _remainder),
}
"""By names that no person can type."""

_REPLACED: dict[Any, Any] = {
    **{getattr(math, n): f for n, f in ieee.FUNCTIONS.items()},
    **{
        getattr(np, of_numpy): ieee.FUNCTIONS[n]
        for n, of_numpy in (ieee.ONE_NUMBER | ieee.TWO_NUMBERS).items()
    },
    math.floor: lambda x: np.int64(math.floor(x)),
    math.ceil: lambda x: np.int64(math.ceil(x)),
    math.trunc: lambda x: np.int64(math.trunc(x)),
    int: lambda x: np.int64(int(x)),
    float: np.float64,
    len: lambda x: np.int64(len(x)),
    range: lambda *n: map(np.int64, range(*n)),
    enumerate: lambda x, start=0: (
        (np.int64(i), item) for i, item in enumerate(x, int(start))
    ),
    sum: _sum,
}
"""Functions whose plain form does not compute as the compiled one."""


def function_of(body: Body) -> Callable[..., Any]:
    """Return the body as a function."""
    return _function(body, {})


def _function(body: Body, made: dict[int, Any]) -> Callable[..., Any]:
    if id(body) in made:
        function: Callable[..., Any] = made[id(body)]
        return function
    definition = ast.parse(body.source).body[0]
    ast.increment_lineno(definition, body.first_line - 1)
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list.clear()
    definition.args.defaults.clear()
    tree = ast.Module([_Numbers().visit(definition)], [])
    namespace: dict[str, Any] = {
        "__builtins__": {n: _replaced(f, made) for n, f in vars(builtins).items()},
        "number ": number,
        **dict(_OPERATORS.values()),
    }
    exec(compile(ast.fix_missing_locations(tree), body.file, "exec"), namespace)  # noqa: S102 - theirs
    made[id(body)] = namespace[body.name]
    own = namespace[body.name]
    own.__defaults__ = tuple(_replaced(v, made) for v in body.defaults)
    namespace.update({n: _replaced(v, made) for n, v in body.captured.items()})
    return own  # type: ignore[no-any-return]


def _replaced(value: Any, made: dict[int, Any]) -> Any:
    if isinstance(value, Body):
        return _function(value, made)
    if isinstance(value, types.ModuleType):
        return _Module(value, made)
    try:
        return _REPLACED.get(value, number(value))
    except TypeError:  # not hashable
        return value


class _Module:
    """A module whose functions are replaced as they are asked for."""

    def __init__(self, module: types.ModuleType, made: dict[int, Any]) -> None:
        self._module = module
        self._made = made

    def __getattr__(self, name: str) -> Any:
        return _replaced(getattr(self._module, name), self._made)


class _Numbers(ast.NodeTransformer):
    """Makes the results of expressions numbers of 64 bits."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) in (int, float):
            return _call("number ", node, node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if type(node.op) in _OPERATORS:
            return _call(_OPERATORS[type(node.op)][0], node, left, right)
        return _call("number ", node, ast.BinOp(left, node.op, right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return node if isinstance(node.op, ast.Not) else _call("number ", node, node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        return _call("bool", node, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return node
        before = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        whole = ast.copy_location(ast.BinOp(before, node.op, node.value), node)
        return ast.copy_location(ast.Assign([node.target], self.visit(whole)), node)


def _call(name: str, at: ast.expr, *arguments: ast.expr) -> ast.expr:
    for argument in arguments:
        ast.copy_location(argument, at)
    function = ast.copy_location(ast.Name(name, ast.Load()), at)
    return ast.copy_location(ast.Call(function, list(arguments), []), at)
