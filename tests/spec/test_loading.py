"""What a person reads who wrote something wrong, line for line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from facility.errors import ExitCode
from facility.spec import Facility, SpecError, load, loads


class Case(NamedTuple):
    text: str
    lines: list[str]


HUB_KEYS = (
    "authenticator, oauth, bind, port, tls_certificate, tls_key, idle_timeout, "
    "start_timeout"
)

CASES = {
    "an unknown key": Case(
        "hub:\n  prot: 80\n",
        [
            (
                f"f:2:3: hub.prot: unknown key; expected one of {HUB_KEYS}, got 'prot'; "
                "did you mean 'port'?"
            )
        ],
    ),
    "an unknown key unlike any": Case(
        "users: {zzz: 1}\n",
        ["f:1:9: users.zzz: unknown key; expected one of allowed, admins, got 'zzz'"],
    ),
    "an unknown key inside a list": Case(
        "profiles:\n- name: a\n  worker: {core: 1}\n",
        [
            (
                "f:3:12: profiles[0].worker.core: unknown key; expected one of cores, "
                "memory, got 'core'; did you mean 'cores'?"
            )
        ],
    ),
    "an unknown key inside a mapping by name and an optional model": Case(
        "groups: {cms: {ceiling: {wrokers: 1}}}\n",
        [
            (
                "f:1:26: groups.cms.ceiling.wrokers: unknown key; expected one of "
                "clusters, workers, cores, memory, got 'wrokers'; did you mean 'workers'?"
            )
        ],
    ),
    "a wrong type": Case(
        "name: 12\nhub: [1]\nprofiles: {}\nusers: {allowed: bob}\n",
        [
            "f:1:7: name: wrong type; expected text, got 12",
            "f:2:6: hub: wrong type; expected a mapping, got a list",
            "f:3:11: profiles: wrong type; expected a list, got a mapping",
            "f:4:18: users.allowed: wrong type; expected a list, got 'bob'",
        ],
    ),
    "text or truth for a number": Case(
        "hub: {port: '80'}\nstorage: {log_count: true}\n",
        [
            "f:1:13: hub.port: wrong type; expected a whole number, got '80'",
            "f:2:22: storage.log_count: wrong type; expected a whole number, got true",
        ],
    ),
    "a fraction for a whole number": Case(
        "hub: {port: 80.5}\n",
        ["f:1:13: hub.port: wrong type; expected a whole number, got 80.5"],
    ),
    "a number for truth": Case(
        "gateway: {refuse_other_environments: 1}\n",
        [
            (
                "f:1:38: gateway.refuse_other_environments: wrong type; "
                "expected true or false, got 1"
            )
        ],
    ),
    "out of range": Case(
        "hub: {port: 65536}\nprofiles: [{name: a, server: {cores: 0}}]\n",
        [
            "f:1:13: hub.port: out of range; expected at most 65535, got 65536",
            (
                "f:2:38: profiles[0].server.cores: out of range; expected at least 1, "
                "got 0"
            ),
        ],
    ),
    "a size that is none": Case(
        "gateway: {scheduler_memory: 2 GiBs, idle_timeout: soon}\n",
        [
            (
                "f:1:29: gateway.scheduler_memory: expected a size such as '2 GiB', "
                "got '2 GiBs'"
            ),
            (
                "f:1:51: gateway.idle_timeout: expected a duration such as '30 min', "
                "got 'soon'"
            ),
        ],
    ),
    "a size that is negative or true": Case(
        "gateway:\n  scheduler_memory: -1\n  idle_timeout: true\n",
        [
            "f:2:21: gateway.scheduler_memory: expected a size such as '2 GiB', got -1",
            (
                "f:3:17: gateway.idle_timeout: expected a duration such as '30 min', "
                "got True"
            ),
        ],
    ),
    "a number that is not finite": Case(
        "hub: {idle_timeout: .nan, port: .inf}\n",
        [
            "f:1:21: hub.idle_timeout: expected a number of a sensible size, got '.nan'",
            "f:1:33: hub.port: expected a number of a sensible size, got '.inf'",
        ],
    ),
    "a number of too many digits": Case(
        f"hub: {{port: {'9' * 5000}}}\n",
        [f"f:1:13: hub.port: expected a number of a sensible size, got '{'9' * 56}..."],
    ),
    "another word of a few": Case(
        "hub: {authenticator: pma}\nversion: 2\n",
        [
            (
                "f:1:22: hub.authenticator: unknown value; expected 'one-person', 'pam' "
                "or 'oauth', got 'pma'; did you mean 'pam'?"
            ),
            "f:2:10: version: unknown value; expected 1, got 2",
        ],
    ),
    "a bad name": Case(
        "name: ../etc\nusers: {allowed: [bob, Bob Smith]}\ngroups: {a/b: {}}\n",
        [
            (
                "f:1:7: name: malformed; expected lower-case letters, digits, dots and "
                "dashes (at most 63), got '../etc'"
            ),
            (
                "f:2:24: users.allowed[1]: malformed; expected a login name (lower-case "
                "letters, digits, '_', '.', '-'), got 'Bob Smith'"
            ),
            (
                "f:3:10: groups.a/b: key is malformed; expected lower-case letters, "
                "digits, dots and dashes (at most 63), got 'a/b'"
            ),
        ],
    ),
    "a hexadecimal number of too many digits": Case(
        f"hub: {{port: 0x{'9' * 5000}}}\n",
        [
            (
                "f:1:13: hub.port: expected a number of a sensible size, "
                f"got '0x{'9' * 54}..."
            )
        ],
    ),
    "a bad address": Case(
        "hub: {bind: 127.0.0.1/8}\n",
        [
            (
                "f:1:13: hub.bind: malformed; expected an address such as 127.0.0.1, "
                "got '127.0.0.1/8'"
            )
        ],
    ),
    "a missing key": Case(
        "profiles:\n- title: x\n",
        ["f:2:3: profiles[0]: missing key; expected key 'name', got none"],
    ),
    "values that cannot be read, where they are needed": Case(
        "profiles: [{name: !x a}]\nusers: {allowed: [.nan]}\n",
        [
            "f:1:19: profiles[0].name: expected a plain value, got tag '!x'",
            (
                "f:2:19: users.allowed[0]: expected a number of a sensible size, "
                "got '.nan'"
            ),
        ],
    ),
    "no profile": Case(
        "profiles: []\n",
        ["f:1:11: profiles: too few; expected at least 1, got none"],
    ),
    "a duplicate key": Case(
        "name: a\nhub: {}\nname: b\n",
        ["f:3:1: name: duplicate key; expected it once, got it in line 1 too"],
    ),
    "YAML that is none": Case(
        "hub: [1\nname: x\n",
        [
            (
                "f:2:5: expected YAML, got an error: while parsing a flow sequence, "
                "expected ',' or ']', but got ':'"
            )
        ],
    ),
    "a tab for indentation": Case(
        "hub:\n\tport: 1\n",
        [
            (
                "f:2:1: expected YAML, got an error: while scanning for the next token, "
                "found character '\\t' that cannot start any token"
            )
        ],
    ),
    "two documents": Case(
        "name: a\n---\nname: b\n",
        [
            (
                "f:2:1: expected YAML, got an error: expected a single document in the "
                "stream, but found another document"
            )
        ],
    ),
    "a control character": Case(
        "name: a\nhub: \x01\n",
        ["f:2:6: expected YAML, got an error: character '\\x01'"],
    ),
    "a key without end": Case(
        f"{'k' * 500}: 1\n",
        [
            (
                f"f:1:1: {'k' * 200}...: unknown key; expected one of version, name, "
                "users, groups, slices, profiles, hub, gateway, sites, offload, publisher, images, storage, "
                f"got '{'k' * 56}..."
            )
        ],
    ),
    "something else than a mapping": Case(
        "- a\n", ["f:1:1: wrong type; expected a mapping, got a list"]
    ),
    "an object": Case(
        "name: !!python/object/apply:os.system [id]\n",
        [
            (
                "f:1:7: name: expected a plain value, got tag "
                "'!!python/object/apply:os.system'"
            )
        ],
    ),
    "a key that is a list": Case(
        "? [a]\n: 1\n",
        ["f:1:3: expected a key that is text, got a mapping or list"],
    ),
    "half of a surrogate pair": Case(
        'profiles: [{name: a, title: "\\ud800"}]\n',
        ["f:1:29: profiles[0].title: expected printable text, got '\\ud800'"],
    ),
    "a slice, a group and a worker that are not possible": Case(
        "profiles:\n- name: a\n  slice: gpu\n  groups: [cms]\n"
        "  worker: {cores: 5, memory: 9 GiB}\n- name: a\n",
        [
            (
                "f:3:10: profiles[0].slice: no such slice; expected none (none is "
                "declared), got 'gpu'"
            ),
            (
                "f:4:12: profiles[0].groups[0]: no such group; expected none (none is "
                "declared), got 'cms'"
            ),
            (
                "f:5:19: profiles[0].worker.cores: above gateway.ceilings.worker.cores; "
                "expected at most 4, got 5"
            ),
            (
                "f:5:30: profiles[0].worker.memory: above gateway.ceilings.worker.memory; "
                "expected at most 8 GiB, got 9 GiB"
            ),
            (
                "f:6:9: profiles[1].name: declared twice; expected another name than "
                "profiles[0] has, got 'a'"
            ),
        ],
    ),
    "a hub beyond loopback": Case(
        "hub:\n  bind: 0.0.0.0\n",
        [
            (
                "f:2:9: hub.bind: authenticator 'one-person' works on loopback only; "
                "expected 127.0.0.1 (or authenticator 'pam' or 'oauth'), got '0.0.0.0'"
            ),
            (
                "f:2:9: hub.bind: beyond loopback traffic must be encrypted; expected "
                "tls_certificate and tls_key with bind '0.0.0.0', got none"
            ),
        ],
    ),
    "oauth without a provider": Case(
        "hub: {authenticator: oauth}\n",
        [
            (
                "f:1:22: hub.authenticator: 'oauth' needs an identity provider; expected "
                "section 'oauth', got none"
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_problem_is_one_exact_line(case: Case) -> None:
    with pytest.raises(SpecError) as caught:
        loads(case.text, "f", directory=Path("/"))
    assert str(caught.value).splitlines() == case.lines
    assert [str(problem) for problem in caught.value.problems] == case.lines
    assert caught.value.exit_code is ExitCode.USAGE


def test_problems_are_data() -> None:
    with pytest.raises(SpecError) as caught:
        loads("hub:\n  port: x\n", "f", directory=Path("/"))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("f", 2, 9)
    assert problem.key == "hub.port"


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "hub:\n"])
def test_an_empty_file_is_the_default_facility(text: str) -> None:
    assert loads(text, directory=Path("/")) == Facility()


def test_a_directory_without_a_file_is_the_default_facility(tmp_path: Path) -> None:
    assert load(tmp_path) == Facility()


def test_a_directory_means_its_file(tmp_path: Path) -> None:
    (tmp_path / "facility.yaml").write_text("name: here\n")
    assert load(tmp_path).name == "here"
    assert load(tmp_path / "facility.yaml").name == "here"


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "facility.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: here\n")
    assert load(file).name == "here"


def test_relative_paths_start_at_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/bob")
    (tmp_path / "facility.yaml").write_text(
        "storage: {state: var/state, cache: ~/cache}\n"
        "profiles: [{name: a, environment: /opt/env}]\n"
    )
    monkeypatch.chdir("/")
    facility = load(tmp_path)
    assert facility.storage.state == tmp_path / "var/state"
    assert facility.storage.cache == Path("/home/bob/cache")
    assert facility.profiles[0].environment == Path("/opt/env")


def test_a_relative_directory_still_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "facility.yaml").write_text("storage: {state: s}\n")
    monkeypatch.chdir(tmp_path)
    assert load(Path()).storage.state == tmp_path / "s"


def test_aliases_may_repeat_values() -> None:
    facility = loads(
        "profiles:\n- {name: a, server: &big {cores: 3}}\n- {name: b, server: *big}\n",
        directory=Path("/"),
    )
    assert [profile.server.cores for profile in facility.profiles] == [3, 3]


def test_an_alias_bomb_is_refused_quickly() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(SpecError, match="expected at most 50000 values"):
        loads("\n".join(levels), directory=Path("/"))


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 40 + "]" * 40, "[" * 2_000])
def test_nesting_without_end_is_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(text, "f", directory=Path("/"))
    assert str(caught.value.problems[0]) == (
        "f:1:1: expected at most 32 levels of nesting, got more"
    )


def _missing(file: Path) -> None:
    assert not file.exists()


def _loop(file: Path) -> None:
    file.symlink_to(file)


def _dangling(file: Path) -> None:
    file.symlink_to("nowhere")


def _large(file: Path) -> None:
    file.write_bytes(b"#" * (256 * 1024 + 1))


def _binary(file: Path) -> None:
    file.write_bytes(b"name: a\nhub: \xff\xfe\x00")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (_missing, "F: expected a readable file, got: No such file or directory"),
        (_loop, "F: expected a readable file, got: Too many levels of symbolic links"),
        (_dangling, "F: expected a readable file, got: No such file or directory"),
        (os.mkfifo, "F: expected a regular file, got something else"),
        (_large, "F: expected at most 262144 bytes, got more"),
        (_binary, "F:2:6: expected text in UTF-8, got byte 0xff"),
    ],
)
def test_what_is_no_readable_text_is_refused_in_one_line(
    tmp_path: Path, make: object, line: str
) -> None:
    file = tmp_path / "facility.yaml"
    assert callable(make)
    make(file)
    with pytest.raises(SpecError) as caught:
        load(file)
    assert str(caught.value) == line.replace("F", str(file), 1)


def test_a_dangling_link_in_a_directory_is_no_absent_file(tmp_path: Path) -> None:
    _dangling(tmp_path / "facility.yaml")
    with pytest.raises(SpecError, match="No such file"):
        load(tmp_path)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("name: real\n")
    (tmp_path / "facility.yaml").symlink_to("real.yaml")
    assert load(tmp_path).name == "real"


def test_an_escape_beyond_unicode_is_one_line() -> None:
    """Whose wording is the interpreter's, and changes between versions."""
    with pytest.raises(SpecError) as caught:
        loads('name: "\\UFFFFFFFF"\n', "f", directory=Path("/"))
    (problem,) = caught.value.problems
    assert str(problem).startswith("f:1:1: expected YAML, got an error: ")
    assert "\n" not in str(problem)
