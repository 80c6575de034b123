"""Pods are taken in once, however often and at once that is asked for."""

import asyncio
import threading

from offload.interlink import RetrievedPodData
from offload.plugins.records import Record, WorkArea
from offload.plugins.table import Table

DATA = RetrievedPodData.model_validate(
    {"pod": {"metadata": {"name": "a", "uid": "u-1"}}, "container": []}
)
RECORD = Record(uid="u-1", name="a", accepted_at=1.5)


class FullAtOnce(WorkArea):
    """A disk that is full for who writes a pod that another is writing, or has written."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self._is_written = False
        self._second = threading.Event()

    def accept(self, record, data) -> None:
        if self._is_written:
            self._second.set()
            raise OSError("the disk is full")
        self._is_written = True
        self._second.wait(0.1)
        super().accept(record, data)


async def test_who_asks_again_meanwhile_does_not_undo_what_was_accepted(tmp_path):
    table = Table(FullAtOnce(tmp_path / "work"))
    await asyncio.gather(*(table.accept([(RECORD, DATA)]) for _ in range(2)))
    assert list(table.work.records()) == [RECORD]
    assert [entry.record for entry in table] == [RECORD]
