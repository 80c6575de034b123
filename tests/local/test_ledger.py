import pytest

from facility.local.core import Phase, ProcessState
from facility.local.ledger import Ledger, ProcessEntry
from facility.process import ProcessIdentity

ME = ProcessIdentity(1, 2, "boot")
ENTRY = ProcessEntry("hub", ProcessState.READY, ME, "d", "http://x", 1.5, 2.5, 3, "e")
WAITING = ProcessEntry("proxy", ProcessState.WAITING, None, "d", "u", 1.5, None, 0, "")
LEDGER = Ledger("id", "http://x", ME, Phase.READY, "", 0.5, (ENTRY, WAITING))


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "processes.json"
    assert Ledger.load(path) is None
    LEDGER.save(path)
    assert Ledger.load(path) == LEDGER


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": 1, "url": 2}'])
def test_a_broken_ledger_is_none(tmp_path, content):
    path = tmp_path / "processes.json"
    path.write_text(content)
    assert Ledger.load(path) is None


def test_of_another_boot_nothing_is_alive(tmp_path):
    assert not ME.is_alive()
