import asyncio

import pytest

from facility.client.kernel import KernelError, Message
from facility.client.notebook import CellError, ExecutedNotebook, run_notebook
from facility.errors import UsageError


class FakeKernel:
    """Prints what it is given; ``raise``, ``hang`` and ``die`` do that."""

    def __init__(self):
        self.seen: list[str] = []

    async def execute(self, code: str):
        self.seen.append(code)
        match code:
            case "raise":
                reply = {
                    "status": "error",
                    "ename": "ValueError",
                    "evalue": "\x1b[31mno\nsuch branch\x1b[0m",
                }
            case "hang":
                await asyncio.Event().wait()
            case "die":
                raise KernelError("kernel k died")
            case _:
                yield Message(
                    "stream", "iopub", "r", {"name": "stdout", "text": code}, {}
                )
                reply = {"status": "ok"}
        reply["execution_count"] = len(self.seen)
        yield Message("execute_reply", "shell", "r", reply, {})


def _notebook(*sources, kind="code", **metadata) -> dict:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata,
        "cells": [
            {
                "id": str(index),
                "cell_type": kind,
                "metadata": {},
                "source": source,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}],
                "execution_count": 99,
            }
            for index, source in enumerate(sources)
        ],
    }


async def _run(notebook, timeout_s=5.0, on_cell=None):
    kernel = FakeKernel()
    executed = ExecutedNotebook.of(notebook)
    await run_notebook(kernel, executed, timeout_s=timeout_s, on_cell=on_cell)
    return kernel, executed


async def test_code_cells_run_in_order_and_the_original_is_unchanged():
    notebook = _notebook("one", ["t", "wo"], "  \n")
    done = []
    kernel, executed = await _run(notebook, on_cell=done.append)
    assert kernel.seen == ["one", "two"]
    assert [c["execution_count"] for c in executed.document["cells"]] == [1, 2, None]
    assert executed.document["cells"][1]["outputs"][0]["text"] == "two"
    assert executed.document["cells"][2]["outputs"] == []
    assert [c.index for c in done] == [0, 1]
    assert notebook == _notebook("one", ["t", "wo"], "  \n")


async def test_text_cells_pass_unchanged():
    notebook = _notebook("# Title", kind="markdown")
    kernel, executed = await _run(notebook)
    assert kernel.seen == []
    assert executed.document == notebook


async def test_the_first_error_stops_with_one_line_and_the_notebook_so_far():
    with pytest.raises(CellError) as caught:
        await _run(_notebook("one", "raise", "three"))
    assert str(caught.value) == "cell 1: ValueError: no such branch"
    cells = caught.value.notebook.document["cells"]
    assert [c["execution_count"] for c in cells] == [1, 2, None]


async def test_a_dead_kernel_is_told():
    with pytest.raises(KernelError, match="kernel k died"):
        await _run(_notebook("die"))


async def test_time_is_limited_for_all_cells_together():
    with pytest.raises(KernelError, match=r"^cell 1: not done after 0\.05 s"):
        await _run(_notebook("one", "hang"), timeout_s=0.05)


@pytest.mark.parametrize("document", [{}, {"nbformat": 3, "worksheets": []}])
def test_other_formats_are_refused(document):
    with pytest.raises(UsageError, match="expected a notebook of format 4"):
        ExecutedNotebook.of(document)


@pytest.mark.parametrize(
    ("metadata", "name"), [({}, "python3"), ({"kernelspec": {"name": "root"}}, "root")]
)
def test_the_notebook_names_its_kernel(metadata, name):
    assert ExecutedNotebook.of(_notebook("1", **metadata)).kernel_name == name
