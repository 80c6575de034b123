"""A notebook executed from top to bottom in a kernel that may be anywhere.

Notebooks are nbformat 4 documents, kept as the JSON that they are: what we do not know
about them passes through unchanged.
"""

from __future__ import annotations

import asyncio
import copy
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from facility.client.kernel import KernelError, Message
from facility.client.outputs import OutputCollector
from facility.errors import FacilityError, UsageError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Executes(Protocol):
    """What runs code: a :class:`~facility.client.kernel.Kernel`."""

    def execute(self, code: str) -> AsyncIterator[Message]: ...


class CellError(FacilityError):
    """A cell raised.

    Attributes:
        cell: position among all cells, from 0.
        ename: name of the exception's class.
        evalue: its text.
        notebook: the document as far as it came.
    """

    def __init__(
        self, cell: int, ename: str, evalue: str, notebook: ExecutedNotebook
    ) -> None:
        text = " ".join(_COLOURS.sub("", evalue).split())
        super().__init__(
            f"cell {cell}: {ename}: {text}" if text else f"cell {cell}: {ename}"
        )
        self.cell = cell
        self.ename = ename
        self.evalue = evalue
        self.notebook = notebook


@dataclass(frozen=True, slots=True)
class CellDone:
    """One code cell has run."""

    index: int
    """Position among all cells, from 0."""
    source: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ExecutedNotebook:
    """A notebook with the outputs of its cells, and how long they took."""

    document: dict[str, Any]
    cells: list[CellDone]

    @classmethod
    def of(cls, notebook: dict[str, Any]) -> Self:
        """Copy a notebook, without its outputs.

        Raises:
            UsageError: it is no notebook of format 4.
        """
        if notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
            raise UsageError(
                "expected a notebook of format 4, got "
                f"nbformat {notebook.get('nbformat')!r}: open and save it in JupyterLab"
            )
        document = copy.deepcopy(notebook)
        for cell in document["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = []
                cell["execution_count"] = None
        return cls(document, [])

    @property
    def kernel_name(self) -> str:
        kernelspec = self.document.get("metadata", {}).get("kernelspec", {})
        return str(kernelspec.get("name", "python3"))


async def run_notebook(
    kernel: Executes,
    notebook: ExecutedNotebook,
    *,
    on_cell: Callable[[CellDone], None] | None = None,
    timeout_s: float,
) -> None:
    """Run the code cells in order and put their outputs into the notebook.

    Stops at the first cell that raises.

    Args:
        kernel: runs the code.
        notebook: is filled in place.
        on_cell: is called after each code cell.
        timeout_s: for all cells together.

    Raises:
        CellError: a cell raised.
        KernelError: the kernel died, or time ran out.
    """
    collector = OutputCollector()
    deadline = asyncio.get_running_loop().time() + timeout_s
    for index, cell in enumerate(notebook.document["cells"]):
        source = _source(cell)
        if cell["cell_type"] != "code" or not source.strip():
            continue
        begun = time.monotonic()
        collector.begin(cell["outputs"])
        try:
            async with asyncio.timeout_at(deadline):
                failure = await _run_cell(kernel, source, cell, collector)
        except TimeoutError:
            raise KernelError(
                f"cell {index}: not done after {timeout_s:g} s for the whole notebook"
            ) from None
        done = CellDone(index, source, time.monotonic() - begun)
        notebook.cells.append(done)
        if failure is not None:
            raise CellError(index, failure["ename"], failure["evalue"], notebook)
        if on_cell is not None:
            on_cell(done)


async def _run_cell(
    kernel: Executes, source: str, cell: dict[str, Any], collector: OutputCollector
) -> dict[str, Any] | None:
    """Run one cell; return the content of its reply if it failed."""
    failure = None
    async for message in kernel.execute(source):
        if message.kind == "execute_reply":
            cell["execution_count"] = message.content.get("execution_count")
            if message.content.get("status") != "ok":
                failure = {
                    "ename": message.content.get("ename", "Aborted"),
                    "evalue": message.content.get("evalue", ""),
                }
        else:
            collector.handle(message)
    return failure


def _source(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
