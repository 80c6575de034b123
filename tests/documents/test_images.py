"""What docs/images.md shows is what the facility reads, and what there is."""

import re
from pathlib import Path

import yaml
from typer.testing import CliRunner

from facility.cli.images import app
from facility.spec import Publisher, load
from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.layers import LIMITS
from offload.cache.publishing.references import (
    Reference,
    flat_path,
    layer_path,
    metadata_path,
)
from offload.cache.reading.bundles import path_of
from offload.cache.reading.settings import ReportSettings

PAGE = (Path(__file__).parents[2] / "docs/images.md").read_text()
OURS, _, REPORT = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
DIGEST = "sha256:ab" + "0" * 62


def test_the_section_is_valid_and_says_what_the_page_says(tmp_path):
    (tmp_path / "facility.yaml").write_text(OURS)
    facility = load(tmp_path)
    assert facility.publisher is not None
    assert facility.publisher.fqrn == "images.example.org"
    assert facility.images == ("registry.example.org/group/root:6.*",)


def test_what_a_site_says_of_its_reports_is_read():
    report = ReportSettings.model_validate(yaml.safe_load(REPORT)["report"])
    assert report.url == "https://publisher.example.org"


def test_defaults_are_those_of_the_page():
    publisher = Publisher()
    assert f":{publisher.port}/events" in PAGE
    assert (publisher.retention, publisher.grace) == (30 * 86400, 86400)
    assert (publisher.revisions, publisher.poll) == (20, 60)
    assert PUBLIC in PAGE
    assert LIMITS.bytes == 200 * 2**30


def test_the_layout_is_that_of_the_page():
    name = DIGEST.removeprefix("sha256:")
    for path, shown in (
        (flat_path(DIGEST), "`.flat/ab/HEX`"),
        (layer_path(DIGEST) + b"/layerfs", "`.layers/ab/HEX/layerfs`"),
        (metadata_path(DIGEST) + b"/manifest.json", "`.metadata/ab/HEX/manifest.json`"),
        (path_of(DIGEST).strip(b"/"), "`.bundles/HEX`"),
        (Reference("HOST", "name", "TAG").link, "`images/HOST/NAME:TAG`"),
    ):
        written = path.decode().replace(name, "HEX").replace("name", "NAME")
        assert f"`{written}`" == shown
        assert shown in PAGE


def test_every_command_of_the_page_is_there():
    shown = CliRunner().invoke(app, ["--help"]).output
    commands = set(re.findall(r"facility images (\w+)", PAGE)) | {"unpin", "rollback"}
    for command in commands:
        assert re.search(rf"\b{command}\b", shown), command
