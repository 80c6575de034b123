"""``@kernel``: an ordinary loop over one event, as an analysis."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facility.columnar.buffers import POOL
from facility.columnar.columns import Column
from facility.columnar.events import Events
from facility.columnar.fused.axes import Layout, layout_of
from facility.columnar.fused.body import Body, body_of
from facility.columnar.fused.branches import Branches, Offer, holds
from facility.columnar.fused.errors import KernelError
from facility.columnar.fused.requiring import (
    require_equal_lists,
    require_signed,
    unequal,
)
from facility.columnar.notes import note

# What compiles is imported by who compiles: half of what importing kernels took.
if TYPE_CHECKING:
    from facility.columnar.fused.choosing import Engines
    from facility.columnar.fused.program import List, Program


def kernel(**histograms: Any) -> Callable[[Callable[..., None]], Kernel]:
    """Make an analysis of a function of one event and the histograms that it fills.

        @kernel(mass=Hist.regular(100, 0, 200, name="mass", label="m [GeV]"))
        def dimuon(event, mass):
            for a, b in event.Muon.pairs():
                if a.charge != b.charge:
                    mass.fill((a + b).mass, weight=event.genWeight)

    Args:
        histograms: a ``hist.Hist`` for each parameter after the event: what is filled
            has its axes and its storage (Double, Int64 or Weight), and begins empty.

    Raises:
        KernelError: the parameters are others, or a histogram cannot be filled.
    """

    def made(function: Callable[..., None]) -> Kernel:
        return Kernel(body_of(function), histograms)

    return made


class Kernel:
    """An analysis that is compiled when it first sees events.

    It is called with :class:`~facility.columnar.Events` and returns the filled
    histogram (one), or a dict of them (several). It pickles by value.
    """

    def __init__(self, body: Body, histograms: dict[str, Any]) -> None:
        expected = body.parameters[1:]
        if not body.parameters or sorted(expected) != sorted(histograms):
            raise KernelError(
                f"{body.file}:{body.first_line}: {body.name} has the parameters "
                f"({', '.join(body.parameters)}), expected the event and the histograms"
                f" of @kernel: {', '.join(histograms) or 'there are none'}"
            )
        self._body = body
        self._templates = {name: histograms[name] for name in expected}
        self._layouts = {n: layout_of(n, h) for n, h in self._templates.items()}
        self._forget()

    def _forget(self) -> None:
        self._programs: list[Program] = []
        self._engines: dict[int, Engines] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._body.name

    @property
    def body(self) -> Body:
        """Its source, where that is, and what the names in it stand for."""
        return self._body

    def __repr__(self) -> str:
        return f"<kernel {self.name} ({self._body.file}:{self._body.first_line})>"

    def __getstate__(self) -> dict[str, Any]:
        return {"body": self._body, "templates": self._templates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["body"], state["templates"])  # type: ignore[misc]

    def digest_parts(self) -> tuple[Any, ...]:
        """Return what makes the result: see :mod:`facility.columnar.code`."""
        return self._body, self._templates

    def program(self, offer: Offer) -> Program:
        """Return the body, lowered for what a file offers.

        Raises:
            KernelError: something in the body does not compile.
            MissingBranchError: the file has no such branch.
        """
        # One thread lowers, the others find what it made.
        with self._lock:
            for known in self._programs:
                if holds(known.facts, offer):
                    return known
            from facility.columnar.fused.lowering import lower

            program = lower(self._body, Branches(offer), self._layouts)
            self._programs.append(program)
            return program

    def branches(self, offer: Offer) -> tuple[str, ...]:
        """Return the branches that are read, from the body alone."""
        return self.program(offer).branches

    def __call__(self, events: Events) -> Any:
        """Return the histogram of these events, or several by name."""
        from facility.columnar.fused.choosing import pinned_buffers

        program = self.program(events)
        with POOL.lent() as buffers:
            columns = events.plain(
                program.branches, pinned_buffers() or buffers, program.contents
            )
            arrays = _arrays(program, columns)
            units = _objects(program, columns) if program.is_flat else len(events)
            if units:
                self._run(program, events, units, arrays)
        filled = {
            name: _filled(self._templates[name], self._layouts[name], program, arrays)
            for name in self._templates
        }
        return next(iter(filled.values())) if len(filled) == 1 else filled

    def source(self, offer: Offer) -> str:
        """Return the generated source, which reads like a loop written by hand.

        Args:
            offer: events, or a dataset: its first file is looked at.
        """
        from facility.columnar.fused import cpu

        return cpu.source(self.program(offer))

    def python(self, events: Events) -> Any:
        """Do the same in plain Python: slowly, with the body's own lines to debug.

        The result is the same bits. Nothing is compiled: numba is not needed.
        """
        from facility.columnar.fused.plain import function_of
        from facility.columnar.fused.proxies import Event, Filled, Reader

        function = function_of(self._body)
        reader = Reader(events)
        histograms = {name: h.copy().reset() for name, h in self._templates.items()}
        filled = {name: Filled(name, h) for name, h in histograms.items()}
        with np.errstate(all="ignore"):
            for at in range(len(events)):
                function(Event(reader, at), **filled)
        return next(iter(histograms.values())) if len(histograms) == 1 else histograms

    def _run(
        self,
        program: Program,
        events: Events,
        units: int,
        arrays: dict[str, npt.NDArray[Any]],
    ) -> None:
        from facility.columnar.fused.choosing import Engines

        arrays["failed"] = np.zeros(1, np.int64)
        with self._lock:
            engines = self._engines.setdefault(id(program), Engines(program))
        status = engines(units, arrays)
        note("NaN weights", int(arrays["nan_weights"][0]))
        if status:
            failed = events.name_of(_event(program, events, int(arrays["failed"][0])))
            raise KernelError(f"{program.failures[status - 1].text} ({failed})")


def _event(program: Program, events: Events, at: int) -> int:
    """Return the event of a unit."""
    if not program.is_flat:
        return at
    (item,) = program.lists
    offsets = _offsets(item, events.plain(program.branches))
    return int(np.searchsorted(offsets, at, side="right")) - 1


def _objects(program: Program, columns: dict[str, Column]) -> int:
    """Return the number of objects of a flat program."""
    (item,) = program.lists
    if not program.contents:
        return int(_offsets(item, columns)[-1])
    one, *others = program.contents
    for name in others:
        if len(columns[name].content) != len(columns[one].content):
            raise unequal(one, name)
    return len(columns[one].content)


def _arrays(
    program: Program, columns: dict[str, Column]
) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for read in program.inputs:
        content = columns[read.branch].content
        require_signed(read.branch, content)
        arrays[read.parameter] = content
    if not program.is_flat:
        for item in program.lists:
            arrays[item.offsets] = _offsets(item, columns)
    arrays |= dict(program.constants)
    arrays |= {name: program.storage(name) for name in program.layouts}
    arrays["nan_weights"] = np.zeros(1, np.int64)
    return arrays


def _offsets(item: List, columns: dict[str, Column]) -> npt.NDArray[np.int64]:
    if not item.branches:
        assert item.counts is not None
        content = columns[item.counts].content
        return np.concatenate(([0], np.cumsum(content, dtype=np.int64)))
    one, *others = item.branches
    first = columns[one].offsets
    assert first is not None
    for name in others:
        require_equal_lists(one, first, name, columns[name].offsets)
    return first


def _filled(
    template: Any,
    layout: Layout,
    program: Program,
    arrays: dict[str, npt.NDArray[Any]],
) -> Any:
    name = next(n for n, known in program.layouts.items() if known is layout)
    histogram = template.copy(deep=False)  # bins are copied all the same
    view = histogram.view(flow=True)
    content = arrays[name]
    if layout.has_variance:
        pairs = content.reshape(-1, 2).T if name in program.weighted else (content,) * 2
        view["value"], view["variance"] = (p.reshape(view.shape) for p in pairs)
    else:
        view[...] = content.reshape(view.shape)
    return histogram
