"""What a description holds, where from, and when it is made anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facility.environment import (
    Distribution,
    NoInterpreterError,
    Origin,
    describe,
    difference,
)

MakePrefix = Callable[..., Any]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_an_empty_environment_is_its_interpreter(make_prefix: MakePrefix) -> None:
    environment = describe(make_prefix().path)
    assert environment.distributions == {}
    assert environment.implementation == sys.implementation.name
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert environment.machine == os.uname().machine
    assert str(environment.libc) == os.confstr("CS_GNU_LIBC_VERSION")


ORIGINS = {
    "an index": ({}, Distribution("1.0", Origin.INDEX)),
    "an index, by uv": ({"installer": "uv"}, Distribution("1.0", Origin.INDEX)),
    "a commit": (
        {
            "direct_url": {
                "url": "https://bob:secret@example.org/x.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT},
            }
        },
        Distribution("1.0", Origin.VCS, COMMIT, "https://example.org/x.git"),
    ),
    "an archive with its hash": (
        {
            "direct_url": {
                "url": "https://example.org/x.whl",
                "archive_info": {"hashes": {"sha256": "ab" * 32}},
            }
        },
        Distribution("1.0", Origin.ARCHIVE, "ab" * 32, "https://example.org/x.whl"),
    ),
    "an archive with a hash of the old form": (
        {
            "direct_url": {
                "url": "file:///tmp/x.whl",
                "archive_info": {"hash": "sha256=" + "cd" * 32},
            }
        },
        Distribution("1.0", Origin.ARCHIVE, "cd" * 32, "file:///tmp/x.whl"),
    ),
    "conda": ({"installer": "conda"}, Distribution("1.0", Origin.CONDA)),
    "Linux": ({"installer": "debian"}, Distribution("1.0", Origin.OTHER)),
    "nobody knows": ({"installer": None}, Distribution("1.0", Origin.OTHER)),
}


@pytest.mark.parametrize(("options", "expected"), ORIGINS.values(), ids=ORIGINS.keys())
def test_origin(
    make_prefix: MakePrefix, options: dict[str, object], expected: Distribution
) -> None:
    prefix = make_prefix()
    prefix.install("Some_Thing", "1.0", **options)
    found = describe(prefix.path).distributions
    assert found == {"some-thing": expected}
    assert found["some-thing"].url == expected.url


def test_a_copy_of_a_directory_is_what_its_files_are(make_prefix: MakePrefix) -> None:
    url = {"url": "file:///home/bob/x", "dir_info": {}}
    record = "x/__init__.py,sha256={},1\n../../../bin/x,sha256={},1\nx.pyc,,\n"
    contents = []
    for name, module, script in (("a", "M", "S"), ("b", "M", "T"), ("c", "N", "S")):
        prefix = make_prefix(name)
        prefix.install("x", "1", direct_url=url, record=record.format(module, script))
        one = describe(prefix.path).distributions["x"]
        assert one.origin is Origin.LOCAL
        contents.append(one.contents)
    # A script's first line names the place: it does not count. A module does.
    assert contents[0] == contents[1] != contents[2]
    assert contents[0] is not None


def test_leftovers_of_an_interrupted_installer_are_passed_over(
    make_prefix: MakePrefix,
) -> None:
    prefix = make_prefix()
    prefix.install("numpy", "2.0")
    (prefix.site / "~umpy-1.0.dist-info").mkdir()
    (prefix.site / "~umpy-1.0.dist-info" / "METADATA").write_text("")
    (prefix.site / "empty-1.0.dist-info").mkdir()
    (prefix.site / "broken.dist-info").write_text("")
    assert list(describe(prefix.path).distributions) == ["numpy"]


def test_damaged_records_do_no_harm(make_prefix: MakePrefix) -> None:
    prefix = make_prefix()
    info = prefix.install("x", "1")
    (info / "direct_url.json").write_bytes(b"\xff{[")
    assert describe(prefix.path).distributions == {"x": Distribution("1")}


def test_egg_info_counts(make_prefix: MakePrefix) -> None:
    prefix = make_prefix()
    (prefix.site / "old-1.2-py3.11.egg-info").write_text("Name: old\n")
    (prefix.site / "plain.egg-info").mkdir()
    (prefix.site / "plain.egg-info" / "PKG-INFO").write_text("Name: p\nVersion: 3.4\n")
    found = describe(prefix.path).distributions
    assert {name: d.version for name, d in found.items()} == {
        "old": "1.2",
        "plain": "3.4",
    }


def test_conda_packages_that_are_no_python_count(make_prefix: MakePrefix) -> None:
    prefix = make_prefix()
    prefix.install("numpy", "2.0", installer="conda")
    meta = prefix.path / "conda-meta"
    meta.mkdir()
    for record in ("numpy-2.0-py311_0", "libzlib-1.3.1-h4ab18f5_1", "python-3.11-0"):
        (meta / f"{record}.json").write_text("{}")
    (meta / "history").write_text("")
    assert describe(prefix.path).distributions == {
        "libzlib": Distribution("1.3.1", Origin.CONDA, "h4ab18f5_1"),
        "numpy": Distribution("2.0", Origin.CONDA),
    }


def test_another_environment_by_a_path_file_counts(
    make_prefix: MakePrefix,
) -> None:
    base, layered = make_prefix("base"), make_prefix("layered")
    base.install("numpy", "1.0")
    base.install("scipy", "1.0")
    layered.install("numpy", "2.0")
    (layered.site / "base.pth").write_text(f"# layers\n{base.site}\n/nowhere\n")
    found = describe(layered.path).distributions
    assert {n: d.version for n, d in found.items()} == {"numpy": "2.0", "scipy": "1.0"}


def test_system_site_packages_count_if_they_are_taken(
    make_prefix: MakePrefix, tmp_path: Path
) -> None:
    isolated = describe(make_prefix("isolated").path)
    taking = describe(make_prefix("taking", "--system-site-packages").path)
    base = describe(Path(sys.base_prefix))
    assert isolated.distributions == {}
    assert taking.distributions == base.distributions


def test_this_process_and_its_prefix_are_the_same(make_prefix: MakePrefix) -> None:
    prefix, layer = make_prefix(), make_prefix("layer")
    prefix.install("numpy", "2.0")
    layer.install("scipy", "1.0")
    (prefix.site / "layer.pth").write_text(f"{layer.site}\n")
    own = _ask(prefix.path / "bin" / "python")
    assert own["digest"] == describe(prefix.path).digest
    assert own["names"] == ["numpy", "scipy"]


def test_python_path_counts_for_the_process_itself(
    make_prefix: MakePrefix, tmp_path: Path
) -> None:
    prefix = make_prefix()
    extra = tmp_path / "extra"
    (extra / "more-1.0.dist-info").mkdir(parents=True)
    (extra / "more-1.0.dist-info" / "METADATA").write_text("")
    python = prefix.path / "bin" / "python"
    assert _ask(python, str(extra))["names"] == ["more"]
    assert _ask(python)["names"] == []


def _ask(python: Path, *python_path: str) -> dict[str, Any]:
    """Let another Python describe itself, with our package on its path."""
    ours = str(Path(__file__).parents[2])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import json; from facility.environment import describe; e = describe()\n"
        "print(json.dumps({'digest': e.digest, 'names': list(e.distributions)}))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if python_path:
        environment["PYTHONPATH"] = os.pathsep.join(python_path)
    answer = subprocess.run(
        [python, "-s", "-c", code, ours],
        check=True,
        capture_output=True,
        env=environment,
    )
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


def test_the_digest_does_not_know_the_place(
    make_prefix: MakePrefix, tmp_path: Path
) -> None:
    digests = []
    for name in ("here", "over-there"):
        prefix = make_prefix(name)
        project = tmp_path / f"project-{name}"
        (project / "src" / "mine").mkdir(parents=True)
        (project / "src" / "mine" / "__init__.py").write_text("x = 1\n")
        editable(prefix, project / "src", project)
        prefix.install(
            "copied", "1", direct_url={"url": project.as_uri(), "dir_info": {}}
        )
        digests.append(describe(prefix.path).digest)
    assert digests[0] == digests[1]


def editable(prefix: Any, root: Path, project: Path) -> None:
    """Install a project the way hatchling does with ``pip install -e``."""
    (prefix.site / "_mine.pth").write_text(f"{root}\n")
    prefix.install(
        "mine",
        "1.0",
        direct_url={"url": project.as_uri(), "dir_info": {"editable": True}},
        record="_mine.pth,,\n",
    )


def test_an_editable_installation_changes_with_its_sources(
    make_prefix: MakePrefix, tmp_path: Path
) -> None:
    prefix = make_prefix()
    project = tmp_path / "project"
    (project / "src" / "mine").mkdir(parents=True)
    module = project / "src" / "mine" / "__init__.py"
    module.write_text("x = 1\n")
    (project / "README").write_text("one")
    editable(prefix, project / "src", project)
    before = describe(prefix.path)
    (project / "README").write_text("two")
    assert describe(prefix.path) == before
    module.write_text("x = 2\n")
    after = describe(prefix.path)
    found = difference(before, after)
    assert list(found.changed) == ["mine"]
    assert str(found).startswith("mine 1.0 (editable ")
    module.write_text("x = 1\n")
    assert describe(prefix.path).digest == before.digest


def test_a_prefix_without_python_is_refused(tmp_path: Path) -> None:
    for path, got in (
        (tmp_path, "one without bin/python"),
        (tmp_path / "none", "none"),
    ):
        with pytest.raises(NoInterpreterError) as caught:
            describe(path)
        assert str(caught.value) == (
            f"{path}: expected the directory of a Python environment, got {got}"
        )


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho 1\n", ""])
def test_a_python_that_does_not_run_is_refused(tmp_path: Path, script: str) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(script)
    python.chmod(0o755)
    with pytest.raises(NoInterpreterError, match=f"^{python} does not run: .*$"):
        describe(tmp_path)


def test_another_python_is_asked(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        "#!/bin/sh\nprintf '%s\\n' pypy 3.99.1 riscv64 'glibc 2.99' /usr\n"
    )
    python.chmod(0o755)
    site = tmp_path / "lib" / "python3.99" / "site-packages"
    (site / "numpy-2.0.dist-info").mkdir(parents=True)
    (site / "numpy-2.0.dist-info" / "METADATA").write_text("")
    environment = describe(tmp_path)
    assert environment.implementation == "pypy"
    assert environment.python == "3.99.1"
    assert environment.interpreter.platform_tag == "manylinux_2_99_riscv64"
    assert list(environment.distributions) == ["numpy"]
