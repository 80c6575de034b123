"""What is looked at on the publisher's own machine: the repository, byte by byte."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from facility.cli.image_asking import named
from facility.errors import UsageError
from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
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
        "; 255 of 256 parts are left for the next time\n"
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
