"""Four-momenta: their components, what follows from them, sums of them.

Every attribute and method says here which formula of
:mod:`facility.columnar.fused.fourvectors` it is.
"""

from __future__ import annotations

import ast

from facility.columnar.fused.context import Context
from facility.columnar.fused.objects import chosen, field, load
from facility.columnar.fused.program import Momenta
from facility.columnar.fused.scalars import as_scalar, constant
from facility.columnar.fused.values import Object, Scalar, Value, Vector, described
from facility.columnar.schemas import Shape

COMPONENTS = ("px", "py", "pz", "energy")
ROOTS = {
    "pt": ("pt_squared", ("px", "py")),
    "p": ("p_squared", ("px", "py", "pz")),
    "mass": ("mass_squared", COMPONENTS),
}
"""Square roots: the formula of the square and what it takes."""
FORMULAS = {
    "eta": ("pseudorapidity", ("px", "py", "pz")),
    "phi": ("azimuth", ("px", "py")),
    "rapidity": ("rapidity_of", ("pz", "energy")),
}
METHODS = {
    "delta_r": ("delta_r_squared", ("eta", "phi")),
    "delta_phi": ("phi_difference", ("phi",)),
    "transverse_mass": ("transverse_mass_squared", ("pt", "phi")),
}
"""Of two four-momenta: the formula, and what it takes of each."""
ATTRIBUTES = (*COMPONENTS, *ROOTS, *FORMULAS)
CONVERSIONS = {
    "pt eta phi mass": "from_pt_eta_phi_mass",
    "pt eta phi energy": "from_pt_eta_phi_energy",
    "px py pz mass": "from_px_py_pz_mass",
}


def attribute(
    context: Context, node: ast.AST, owner: Object | Vector, name: str
) -> Scalar | None:
    """Return what a four-momentum has under a name; none if nothing."""
    if isinstance(owner, Vector):
        if name in COMPONENTS:
            return Scalar(getattr(owner, name), "float")
    elif (stored := field(context, node, owner, name)) is not None:
        return stored
    elif name in COMPONENTS:
        return chosen(owner, lambda s: _component(context, node, s, owner.index, name))
    elif name in ATTRIBUTES and len(owner.shapes) > 1:
        # Some kinds may store it, others not: each by its own way.
        return chosen(
            owner, lambda s: _of_one(context, node, Object((s,), owner.index), name)
        )
    if name in ROOTS:
        function, needs = ROOTS[name]
        return _root(context, f"{function}({_needed(context, node, owner, needs)})")
    if name in FORMULAS:
        function, needs = FORMULAS[name]
        return Scalar(f"{function}({_needed(context, node, owner, needs)})", "float")
    return None


def _of_one(context: Context, node: ast.AST, owner: Object, name: str) -> Scalar:
    found = attribute(context, node, owner, name)
    assert found is not None
    return found


def method(
    context: Context, node: ast.AST, name: str, first: Object | Vector, other: Value
) -> Scalar:
    """Return what a method gives for two four-momenta."""
    if not isinstance(other, Object | Vector):
        raise context.refusal(
            node, f"{name}() takes an object or a sum of some, got {described(other)}"
        )
    function, needs = METHODS[name]
    arguments = ", ".join(_needed(context, node, v, needs) for v in (first, other))
    if function.endswith("_squared"):
        return _root(context, f"{function}({arguments})")
    return Scalar(f"{function}({arguments})", "float")


def as_vector(context: Context, node: ast.AST, value: Value) -> Vector:
    """Return the Cartesian components of a value."""
    if isinstance(value, Vector):
        return value
    if not isinstance(value, Object):
        raise context.refusal(
            node, f"expected an object or a sum of some, got {described(value)}"
        )
    return Vector(*(_number(context, node, value, c) for c in COMPONENTS))


def vector_operation(
    context: Context, node: ast.AST, op: ast.operator, left: Value, right: Value
) -> Vector:
    """Return the sum or difference of two, or one times a number."""
    match op:
        case ast.Add() | ast.Sub():
            a, b = (as_vector(context, node, v) for v in (left, right))
            symbol = "+" if isinstance(op, ast.Add) else "-"
            return Vector(
                *(f"({getattr(a, c)} {symbol} {getattr(b, c)})" for c in COMPONENTS)
            )
        case ast.Mult():
            if isinstance(right, Object | Vector):
                left, right = right, left
            vector = as_vector(context, node, left)
            factor = context.named(as_scalar(context, node, right).code)
            return Vector(*(f"({getattr(vector, c)} * {factor})" for c in COMPONENTS))
    raise context.refusal(
        node, "four-momenta are added, subtracted, or multiplied by numbers"
    )


def _root(context: Context, squared: str) -> Scalar:
    name = context.named(squared, "squared")
    return Scalar(f"root({name})", "float", squared=name)


def _needed(
    context: Context, node: ast.AST, owner: Object | Vector, names: tuple[str, ...]
) -> str:
    return ", ".join(_number(context, node, owner, name) for name in names)


def _number(context: Context, node: ast.AST, owner: Object | Vector, name: str) -> str:
    found = attribute(context, node, owner, name)
    assert found is not None
    return found.code if found.type == "float" else f"float64({found.code})"


def _component(
    context: Context, node: ast.AST, shape: Shape, index: str, name: str
) -> Scalar:
    """Return a Cartesian component that no branch holds."""
    stored = shape.coordinates
    kind = stored.kind if stored else "pt eta phi mass"
    if stored:
        sources = [source for _, source in stored]
    elif name in ("px", "py") and {"pt", "phi"} <= {*shape.fields}:
        sources = ["pt", 0.0, "phi", 0.0]  # missing momentum: only across the beam
    else:
        raise context.refusal(
            node,
            f"{shape.name} has no four-momentum: its branches are not pt, eta, phi and "
            "mass, nor px, py, pz and energy",
        )
    components = context.known.components.setdefault(shape.name, {})
    components[name] = None
    places = list(components)
    momenta = Momenta(
        shape.name,
        shape.is_jagged,
        CONVERSIONS[kind],
        tuple(
            constant(source).code
            if isinstance(source, float | int)
            else f"float64({load(context, node, shape, source, 'j').code})"
            for source in sources
        ),
        tuple(places),
    )
    context.momenta[shape.name] = momenta
    at = f"({index} - {momenta.base})"
    place = places.index(name)
    return Scalar(f"{momenta.parameter}[{len(places)} * {at} + {place}]", "float")
