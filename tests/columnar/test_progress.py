"""What is drawn in a terminal is lines in a file."""

from types import SimpleNamespace

import pytest

from facility.columnar import progress
from facility.columnar.progress import Progress

CHUNKS = [SimpleNamespace(index=i, events=1000) for i in range(3)]


def compute(*, show=True):
    with Progress(CHUNKS, show=show) as bar:
        for chunk in CHUNKS:
            bar.added([SimpleNamespace(bytes_read=10**6, index=chunk.index)])


def test_a_file_gets_the_end(capsys):
    compute()
    (line,) = capsys.readouterr().err.splitlines()
    assert "\r" not in line
    assert line.startswith("100%")
    assert "3.00k/3.00k" in line


def test_what_takes_long_gets_lines_in_between(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_PAUSE_S", 0.0)
    compute()
    told = capsys.readouterr().err
    assert "\r" not in told
    lines = told.splitlines()
    assert len(lines) > 2
    assert all("k/3.00k" in line or "0.00/3.00k" in line for line in lines)


def test_a_terminal_gets_one_line_that_is_drawn_again(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    compute()
    told = capsys.readouterr().err
    assert told.startswith("\r")
    assert told.count("\n") == 1


@pytest.mark.parametrize("is_watched", [True, False])
def test_nothing_is_said_unless_asked_for(capsys, monkeypatch, is_watched):
    monkeypatch.setattr(progress, "_is_watched", lambda: is_watched)
    compute(show=False)
    assert not capsys.readouterr().err
