"""The columns of a file, as the body asks for them; what was asked is remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from facility.columnar.columns import ColumnType
from facility.columnar.errors import MissingBranchError, nearest
from facility.columnar.schemas import Objects, Shape

Fact = ColumnType | Shape | None


class Offer(Protocol):
    """What :class:`facility.columnar.Events` and datasets tell without reading."""

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def objects(self) -> Objects: ...

    def type_of(self, name: str) -> ColumnType | None: ...


class Branches:
    """What a file offers."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self.facts: dict[str, Fact] = {}

    def type(self, branch: str) -> ColumnType | None:
        """Return the type of a plain branch; none of any other.

        Raises:
            MissingBranchError: there is no such branch.
        """
        found = self._offer.type_of(branch)
        self.facts[f"branch {branch}"] = found
        return found

    def shape(self, name: str) -> Shape | None:
        """Return the objects of that name, if there are any."""
        found = self._offer.objects.collections.get(name)
        self.facts[f"object {name}"] = found
        return found

    def is_whole(self, branch: str | None) -> bool:
        """Return whether there is such a branch, of one integer for each event."""
        if branch is None or branch not in self._offer.columns:
            return False
        found = self.type(branch)
        return found is not None and not found.is_jagged and found.dtype.kind in "iu"

    def near(self, name: str) -> list[str]:
        """Return names that may be meant."""
        return nearest(name, [*self._offer.columns, *self._offer.objects.collections])


def holds(facts: Any, offer: Offer) -> bool:
    """Return whether another file gives the same answers."""
    ask: dict[str, Callable[[str], Fact]] = {
        "branch": offer.type_of,
        "object": offer.objects.collections.get,
    }
    for question, answer in facts.items():
        kind, _, name = question.partition(" ")
        try:
            if ask[kind](name) != answer:
                return False
        except MissingBranchError:
            return False
    return True
