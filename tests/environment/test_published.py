"""What a public index gave out, told by what the installer wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from facility.environment.published import published_files

HASH = "sha256=" + "A" * 43
METADATA = (
    "Name: thing\nVersion: 1.0\nClassifier: Topic :: Software Development\n\nHi\n"
)
WHEEL = "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_17_x86_64\n"


def install(
    site: Path, name: str = "thing-1.0", without: str = "", **files: str
) -> Path:
    info = site / f"{name}.dist-info"
    info.mkdir()
    written = {"METADATA": METADATA, "WHEEL": WHEEL, "INSTALLER": "pip\n"} | files
    for file, content in written.items():
        if file != without:
            (info / file).write_text(content)
    return info


def paths(info: Path, *listed: str, recorded: str = HASH) -> set[str]:
    return set(published_files(info, [[path, recorded, "1"] for path in listed]))


def test_what_the_wheel_held_is_published(tmp_path):
    info = install(tmp_path)
    listed = ["thing/a.py", "thing/b.so", "thing-1.0.dist-info/METADATA",
              "thing-1.0.dist-info/licenses/RECORD", "../../../share/thing/x.json",
              "thing/bin/tool"]  # fmt: skip
    assert paths(info, *listed) == set(listed)


@pytest.mark.parametrize(
    "path",
    [
        "../../../bin/thing", "../../Scripts/thing.exe", "/etc/passwd",
        "thing/__pycache__/a.cpython-311.pyc", "thing-1.0.dist-info/RECORD",
        "thing-1.0.dist-info/INSTALLER", "thing-1.0.dist-info/REQUESTED",
        "thing-1.0.dist-info/direct_url.json", "x/../thing-1.0.dist-info/RECORD",
        "thing-1.0.dist-info/uv_cache.json", "../../..", "a/../../../../bin/thing",
    ],
)  # fmt: skip
def test_what_the_installer_wrote_is_not(tmp_path, path):
    assert paths(install(tmp_path), path) == set()


@pytest.mark.parametrize(
    "recorded", ["", "sha256=", "md5=" + "A" * 46, "sha384=" + "A" * 43, "A" * 50]
)
def test_what_has_no_such_hash_is_not(tmp_path, recorded):
    assert paths(install(tmp_path), "thing/a.py", recorded=recorded) == set()


@pytest.mark.parametrize(
    "how",
    [
        {"INSTALLER": "conda\n"},
        {"INSTALLER": "\n"},
        {"without": "INSTALLER"},
        {"without": "METADATA"},
        {"without": "WHEEL"},
        {"direct_url.json": "{}"},
        {"WHEEL": "Tag: cp311-cp311-linux_x86_64\n"},
        {"METADATA": "Classifier: Private :: Do Not Upload\n\n"},
        {"METADATA": "classifier: private :: mine\n\n"},
        {"name": "thing-1.0+mine"},
        {"name": "thing"},
    ],
)
def test_what_a_public_index_refuses_or_never_had_is_not(tmp_path, how):
    assert paths(install(tmp_path, **how), "thing/a.py") == set()


def test_a_description_may_speak_of_private_things(tmp_path):
    text = f"{METADATA}Classifier: Private :: Do Not Upload\n"
    assert paths(install(tmp_path, METADATA=text), "thing/a.py") == {"thing/a.py"}
