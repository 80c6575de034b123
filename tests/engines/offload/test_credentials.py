"""A credential is for the program of the job alone, and for as long as it runs."""

import base64
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.engines


def test_it_is_seen_nowhere_but_in_the_job(home, slurm, python, witness):
    secret = secrets.token_urlsafe(48)
    folder = home.folder / "config/analysis-facility/credentials"
    folder.mkdir(parents=True)
    (folder / "storage").write_text(secret)
    (folder / "storage").chmod(0o600)
    id_ = home.submit(
        "--site", "cluster", "--with-credential", "storage", "--outputs", "seen", "--",
        "python", "-c",
        "import hashlib, os, pathlib\n"
        "path = pathlib.Path(os.environ['CREDENTIALS_DIRECTORY']) / 'storage'\n"
        "digest = hashlib.sha256(path.read_bytes()).hexdigest()\n"
        "line = f'{path} {path.stat().st_mode & 0o7777:o} {digest}'\n"
        "print(line)\n"
        "open('seen', 'w').write(line)\n" + witness.hold("reading"), python=python,
    )  # fmt: skip
    home.eventually(lambda: witness.count("reading"))
    needles = [secret.encode(), base64.b64encode(secret.encode())]
    told = [
        *Path("/proc").glob("[0-9]*/cmdline"),
        *Path("/proc").glob("[0-9]*/environ"),
    ]
    assert not holding(needles, told)
    during = holding(needles, files_below(home.folder))
    assert all(
        p.is_relative_to(home.state / "offload/sites")
        for p in during - {folder / "storage"}
    )
    assert {p.stat().st_mode & 0o077 for p in during} == {0}
    witness.release("reading")
    home.facility("wait", id_)
    home.all_forgotten()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    expected = f"/run/credentials/storage 400 {digest}"
    assert (home.work / "seen").read_text() == expected
    assert home.facility("logs", id_) == expected + "\n"
    everything = [*files_below(home.folder), *files_below(slurm.folder)]
    assert len(everything) > 50
    assert holding(needles, everything) == {folder / "storage"}


def test_open_to_others_or_not_there_it_is_refused(shared_home, python):
    folder = shared_home.folder / "config/analysis-facility/credentials"
    folder.mkdir(parents=True)
    (folder / "open").write_text("x")
    (folder / "open").chmod(0o644)
    for name, words in {"open": "chmod 600", "absent": "there are: open"}.items():
        done = shared_home.run(
            "submit", "--with-credential", name, "--", "true", python=python
        )
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert words in line
    assert shared_home.facility("jobs", "--json").strip() == "[]"


def files_below(folder):
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names)


def holding(needles, files):
    found = set()
    for path in files:
        with suppress(OSError):
            if not path.is_file() or path.is_symlink():
                continue
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                found.add(path)
    return found
