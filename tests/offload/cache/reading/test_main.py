"""The command: what it prints, its exit codes, and one line for each failure."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from offload.cache.reading import RepositorySettings, load_settings
from offload.cache.reading.main import main


@pytest.fixture
def image(publisher):
    publisher.publish(small=publisher.small)
    return publisher.digest("small")


@pytest.fixture
def config(tmp_path, settings):
    path = tmp_path / "cache.yaml"
    path.write_text(
        f"fqrn: {settings.fqrn}\nurls: [{settings.urls[0]}]\n"
        "master_keys: [master.pub]\nquota_bytes: 50MB\nrefresh_s: 0\n"
    )
    return path


@pytest.fixture
def handlers():
    """Put back whom signals reach: what the command takes for itself stays taken."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(tmp_path, config, capsys, handlers):
    def run(*arguments, config=config):
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config), "--folder", str(tmp_path / "f"), *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_an_image_is_got_and_listed(run, image):
    code, out, err = run("get", image)
    assert (code, err) == (0, "")
    assert out.strip().endswith(f"images/{image[7:]}")
    code, out, _ = run("status", "--json")
    status = json.loads(out)
    assert status["revision"] == 2
    assert status["note"] is None
    assert status["quota"] == 50_000_000
    assert status["trees"] == [f"images/{image[7:]}"]
    assert status["size"] > 4_000_000
    assert run("status")[1].splitlines()[2:] == [f"images/{image[7:]}"]


def test_a_terminal_sees_a_bar_also_of_what_is_here_while_nobody_answers(
    run, image, origin, monkeypatch
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    code, out, err = run("get", image)
    assert (code, out.count("\n")) == (0, 1)
    assert "fetching" in err
    origin.stop()
    assert run("get", image)[:2] == (0, out)


def test_a_copy_is_ones_own(run, image, tmp_path):
    assert run("copy", image, str(tmp_path / "own"), "env/one.py") == (0, "", "")
    (tmp_path / "own/env/one.py").write_bytes(b"two = 2\n")
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.glob("own/env/*")] == [
        "own/env/one.py"
    ]
    code, _, told = run("copy", image, str(tmp_path / "own"))
    assert (code, len(told.splitlines())) == (1, 1)
    assert "exists already" in told
    mistyped = str(tmp_path / "mistyped")
    code, _, told = run("copy", image, mistyped, "env/one.py", "env/won.py")
    assert (code, len(told.splitlines())) == (1, 1)
    assert "env/won.py: not in" in told
    assert not (tmp_path / "mistyped").exists()


def test_what_cannot_be_mounted_is_shown_whole(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr("offload.cache.reading.showing.can_mount", lambda: False)
    where = tmp_path / "shown"
    where.symlink_to(tmp_path / "f/environments.example.org/images/of-a-killed-one")
    seen = []

    def look():
        seen.append((where / "env/one.py").read_bytes())

    stopped = SimpleNamespace(wait=look)
    monkeypatch.setattr("offload.cache.reading.showing.Event", lambda: stopped)
    code, out, err = run("show", image, str(where))
    assert (code, err) == (0, "")
    assert out.startswith(f"{where}: ready, whole (whole in ")
    assert seen == [b"one = 1\n" * 90]
    assert not where.is_symlink()


def test_a_folder_with_something_in_it_is_left_alone(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr("offload.cache.reading.showing.can_mount", lambda: False)
    where = tmp_path / "mine"
    where.mkdir()
    (where / "thesis").touch()
    code, out, err = run("show", image, str(where))
    assert (code, out) == (1, "")
    assert "expected nothing or an empty folder" in err
    assert (where / "thesis").exists()


def test_pins_collection_and_verification(run, image):
    run("get", image)
    assert run("pin", "job", image)[0] == 0
    assert run("gc")[1].startswith("0 B freed (0 trees, 0 files), ")
    assert run("unpin", "job")[0] == 0
    assert run("verify")[1] == "1 tree read, 0 entries mended\n"


def test_refresh_says_which_revision_and_why_it_may_be_old(run, origin, image):
    assert "revision 2 of 20" in run("refresh")[1]
    origin.stop()
    code, out, _ = run("refresh")
    assert code == 0
    assert "Connection refused" in out


def failures(publisher, origin):
    return {
        "absent": (1, "not in environments.example.org (yet)"),
        "no digest": (2, "expected sha256:HEX"),
        "unreachable": (3, "Connection refused"),
        "forged": (1, ".cvmfspublished"),
        "job": (1, "name of a job"),
    }


@pytest.mark.parametrize("what", failures(None, None))
def test_failures_are_one_line_and_an_exit_code(run, publisher, origin, image, what):
    code, told = failures(publisher, origin)[what]
    arguments = ["get", publisher.digest("nothing")]
    match what:
        case "no digest":
            arguments = ["get", "../../etc"]
        case "unreachable":
            origin.stop()
        case "forged":
            path = publisher.public / ".cvmfspublished"
            path.write_bytes(path.read_bytes()[:-1])
            arguments = ["refresh"]
        case "job":
            arguments = ["pin", "../x", image]
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert told in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "soon"])
def test_a_wait_that_never_ends_is_refused(run, image, seconds):
    code, _, err = run("get", image, "--wait", seconds)
    assert code == 2
    assert f"argument --wait: expected seconds, got '{seconds}'" in err


GOOD = "fqrn: a.b\nurls: [http://h]\nmaster_keys: [k]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fqrn: [", ["cache.yaml:1:8: expected YAML, got an error: "]),
        (
            "fqrn: a.b",
            [
                "cache.yaml:1:1: missing key; expected key 'master_keys', got none",
                "cache.yaml:1:1: missing key; expected key 'urls', got none",
            ],
        ),
        (
            GOOD.replace("a.b", "../x"),
            ["cache.yaml:1:7: fqrn: expected a name such as images.example.org, got"],
        ),
        (
            GOOD.replace("http", "ftp"),
            ["cache.yaml:2:7: urls: expected http://HOST..., got 'ftp://h'"],
        ),
        (
            GOOD.replace("http://h", "'http://h:x'"),
            ["cache.yaml:2:7: urls: Port could"],
        ),
        (
            GOOD.replace("[http://h]", "http://h"),
            ["cache.yaml:2:7: urls: wrong type; expected a list, got 'http://h'"],
        ),
        (
            f"{GOOD}quta_bytes: 1",
            [" 'quta_bytes'; did you mean 'quota_bytes'?"],
        ),
        (
            f"{GOOD}quota_bytes: much",
            ["4:14: quota_bytes: wrong type; expected a size such as '50 GiB', got"],
        ),
        (
            f"{GOOD}connections: 100\nrefresh_s: soon",
            [
                "4:14: connections: out of range; expected at most 64, got 100",
                "5:12: refresh_s: wrong type; expected a number, got 'soon'",
            ],
        ),
    ],
)
def test_wrong_settings_are_a_line_each(run, tmp_path, text, told):
    path = tmp_path / "cache.yaml"
    path.write_text(text)
    code, _, err = run("status", config=path)
    assert code == 2
    for line, words in zip(err.splitlines(), told, strict=True):
        assert line.startswith("offload-cache: ")
        assert words in line


def test_settings_that_are_not_there_are_said(run, tmp_path):
    code, _, err = run("status", config=tmp_path / "none.yaml")
    assert code == 2
    assert "none.yaml: expected a readable file, got: No such file" in err


def test_a_master_key_that_is_not_there_is_said(run, tmp_path):
    (tmp_path / "master.pub").unlink()
    code, _, err = run("refresh")
    assert code == 1
    assert "master.pub: cannot be read" in err


def test_keys_are_looked_for_beside_the_settings(config, tmp_path):
    settings = load_settings(config)
    assert settings.master_keys == (tmp_path / "master.pub",)
    again = RepositorySettings.model_validate(settings.model_dump(mode="json"))
    assert again == settings


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("frob",), "argument COMMAND: invalid choice: 'frob'"),
        (("get",), "the following arguments are required: image (`offload-cache get "),
        (
            ("get", "x", "--wait", "soon"),
            "argument --wait: expected seconds, got 'soon'",
        ),
        ((), "the following arguments are required: COMMAND (`offload-cache --help` "),
    ],
)
def test_what_is_typed_wrong_is_one_line(run, arguments, line):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"offload-cache: {line}")


def test_a_cache_in_a_folder_named_from_here_has_trees_that_links_lead_to(
    run, image, settings, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("--folder", "near", "get", image)
    assert code == 0
    assert Path(out.strip()) == tmp_path / f"near/{settings.fqrn}/images/{image[7:]}"
