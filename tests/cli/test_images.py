"""What is looked at on the publisher's own machine: the repository, byte by byte."""

import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from facility.cli import image_administration, images, job_progress
from facility.cli.image_asking import named
from facility.cli.job_progress import PublishingProgress
from facility.errors import UsageError
from facility.local.paths import Place
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.publishing.status import ImageState, Status
from offload.jobs.publications import Publication
from offload.jobs.settings import Settings
from offload.snapshot.tree import Kind

FQRN = "images.example.org"


def test_a_damaged_object_is_a_line_that_says_how_to_heal_it(type_command):
    Path("facility.yaml").write_text(
        f"name: here\npublisher: {{fqrn: {FQRN}, folder: repository, keys: keys}}\n"
    )
    made = type_command("images", "init", "--json")
    assert made.code == 0, made.err
    folder = Path(made.json["folder"])
    keys = Keys.load(Path(made.json["public_key"]).parent, FQRN)
    repository = Repository(folder, FQRN, keys).open()
    image = "ab" * 32
    tree = f"/.flat/ab/{image}".encode()
    with repository.transaction() as change:
        change.put_tree(tree, [Item(b"f", Kind.FILE, 0o644, 1, content=b"x")])
        change.symlink(b"/images/registry.example.org/env:1", b"../.." + tree)
        change.commit()
    assert type_command("images", "verify").out.endswith(" read, 0 damaged\n")
    row = repository.namespace().lookup(tree + b"/f")
    (damaged,) = row.objects()
    (folder / "public" / damaged.path).write_bytes(b"y")
    answer = type_command("images", "verify")
    line, last = answer.out.splitlines()
    assert answer.code == 1
    assert line.startswith(f"object {damaged}, of {tree.decode()}/f: its bytes have")
    assert line.endswith("; push again: registry.example.org/env:1")
    assert last.endswith("1 damaged, 1 to be published again in all")
    assert type_command("images", "verify", "--for", "0s").out.endswith(
        "; left for the next time: 255 of 256 parts\n"
    )
    assert type_command("images", "verify", "--json").json["left"] == 0


def test_an_image_may_be_named_by_how_its_digest_begins():
    images = [
        "sha256:" + "ab" * 32,
        "sha256:" + "ac" * 32,
        "sha256:" + "ac" * 31 + "ad",
    ]
    known = [SimpleNamespace(image=image) for image in [*images, None]]
    client = SimpleNamespace(images=lambda: known)
    assert named(client, "abab" * 3) == named(client, "sha256:ababab") == images[0]
    assert named(client, "ef" * 32) == "sha256:" + "ef" * 32
    assert named(client, "host/abab:1") == "host/abab:1"
    for which, count in (("acacac", 2), ("abcdef", "no")):
        with pytest.raises(UsageError, match=f"digest of {count} images"):
            named(client, which)


class StandIn:
    """Answers as a publisher's client does."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def images(self):
        return (
            Status(ImageState.PUBLISHED, "sha256:" + "aa" * 32),
            Status(ImageState.WAITING, "sha256:" + "bb" * 32),
        )

    def revisions(self):
        at = "2026-01-02T03:04:05+00:00"
        return [{"tag": "revision-7", "revision": 7, "published": at}]

    def rollback(self, tag):
        assert tag == "revision-7"
        return 8


def publication(hexed, *, there=None, detail="", has=False, refused=False):
    image = f"sha256:{hexed * 32}"
    published = f"sha256:{there * 32}" if there else None
    return Publication(image, "", 0.0, has, refused, detail, published)


def test_ones_own_images_that_are_held_back_are_listed_for_programs_too(
    type_command, monkeypatch
):
    mine = [
        publication("a1", there="aa", has=True),
        publication("bb"),  # asked for again: the publisher has it
        publication("cc", detail="no index can be reached"),
        publication("dd", detail="too large", refused=True),
        publication("ee"),
    ]
    monkeypatch.setattr(images, "connect", lambda _context: StandIn())
    monkeypatch.setattr(images, "_of_ones_own", lambda _context: mine)
    listed = type_command("images", "list", "--json").json
    assert [
        (
            each["image"][7:9],
            each["state"],
            each["detail"],
            [y[7:9] for y in each["yours"]],
        )
        for each in listed
    ] == [
        ("aa", "published", "", ["a1"]),
        ("bb", "waiting", "", ["bb"]),
        ("cc", "waiting", "no index can be reached", ["cc"]),
        ("dd", "refused", "too large", ["dd"]),
        ("ee", "waiting", "", ["ee"]),
    ]
    travels = "what no public index gives out travels with your jobs"
    shown = type_command("images", "show", "cccccc")
    assert shown.code == 1
    assert "waiting: no index can be reached" in shown.out
    told = type_command("images", "list").err.splitlines()
    assert told == [
        f"{'c' * 12} (yours) is not published: no index can be reached",
        f"{'d' * 12} (yours) is not published: too large",
        f"{'e' * 12} (yours) is not published yet",
        f"{'a1' * 6} (yours) is published as {'a' * 12}: {travels}",
    ]


def test_what_cannot_be_rolled_back_to_says_who_knows(type_command, monkeypatch):
    monkeypatch.setattr(image_administration, "connect", lambda _context: StandIn())
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        (line,) = type_command("images", "revisions").out.splitlines()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert line.split() == ["7", "2026-01-02", "04:04", "CET", "revision-7"]
    refused = type_command("images", "rollback", "99")
    assert refused.code == 2
    assert refused.err == (
        "facility: there is no revision '99': `facility images revisions` shows which "
        "there are\n"
    )
    told = type_command("images", "rollback", "7").out
    assert told == "revision 8 holds what revision-7 held\n"


@pytest.fixture
def silent(tmp_path):
    """The settings of a facility whose publisher's port nobody listens on."""
    with socket.socket() as held:  # bound, and not listening: nobody else gets it
        held.bind(("127.0.0.1", 0))
        yield Settings(
            facility_id="theirs",
            state_dir=tmp_path / "jobs",
            launcher_socket=tmp_path / "launcher.sock",
            publisher=f"http://127.0.0.1:{held.getsockname()[1]}",
        )


def test_images_of_a_facility_that_is_down_name_the_command_that_starts_it(
    silent, tmp_path, type_command, monkeypatch
):
    place = Place.of(Path.cwd())
    storage = place.storage("mine")
    storage.ensure()
    place.ensure()
    place.remember(storage)
    told = tmp_path / "offload.json"
    ours = silent.model_copy(update={"facility_id": storage.id})
    told.write_text(ours.model_dump_json())
    monkeypatch.setenv("FACILITY_OFFLOAD", str(told))
    down = f"no facility runs in {Path.cwd()}: `facility up` starts it"
    for command in (("list",), ("wait", "ab" * 32), ("gc",), ("pin", "ab" * 32)):
        answer = type_command("images", *command)
        assert (answer.code, answer.err) == (3, f"facility: {down}\n")
    refused = type_command("images", "list", "--json")
    assert (refused.code, refused.json["detail"]) == (3, down)


def test_a_publisher_of_others_that_is_away_is_named(
    silent, tmp_path, type_command, monkeypatch
):
    told = tmp_path / "offload.json"
    told.write_text(silent.model_dump_json())
    monkeypatch.setenv("FACILITY_OFFLOAD", str(told))
    answer = type_command("images", "list")
    assert answer.code == 3
    assert answer.err == (
        f"facility: publisher {silent.publisher}: cannot be reached: Connection refused; "
        "who runs facility theirs starts it\n"
    )


def test_what_waits_for_a_push_has_no_end_yet_and_keeps_the_last_amount(monkeypatch):
    monkeypatch.setattr(job_progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(job_progress, "is_watched", lambda: True)
    with PublishingProgress(enabled=True) as progress:
        told = []
        for done, total in ((0, 0), (3, 7), (0, 0)):
            progress.show(done, total)
            (task,) = progress._bar.tasks
            told.append((task.description, task.completed, task.total))
    assert told == [
        ("waiting...", 0, None),
        ("publishing...", 3, 7),
        ("publishing...", 3, 7),
    ]


@pytest.mark.parametrize("name", ["a/b", "", "-x", "n" * 129])
def test_a_pin_has_a_name_that_a_path_can_hold(
    silent, tmp_path, type_command, monkeypatch, name
):
    told = tmp_path / "offload.json"
    told.write_text(silent.model_dump_json())
    monkeypatch.setenv("FACILITY_OFFLOAD", str(told))
    answer = type_command("images", "pin", "ab" * 32, "--for", name)
    assert answer.code == 2
    assert "expected letters, digits, dots and dashes" in answer.err


def test_what_needs_the_first_start_says_so(type_command):
    Path("facility.yaml").write_text("publisher: {}\n")
    answer = type_command("images", "token", "cern")
    assert answer.code == 3
    assert answer.err.endswith("publisher-tokens is made by the first `facility up`\n")
    answer = type_command("images", "verify")
    assert answer.code == 2
    assert answer.err.endswith(
        "there is no repository yet: `facility images init` makes one\n"
    )
