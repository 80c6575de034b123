"""What docs/sites.md shows is what facility and plugin read."""

import json
import re
from pathlib import Path

import pytest

from facility.spec import SiteKind, load
from offload.cache.reading import load_settings
from offload.cache.reading.main import main
from offload.link.ways import plugin_settings
from offload.plugins.config import ExecutorKind, load_config
from offload.plugins.main import KEY, KNOWN_HOSTS

PAGE = (Path(__file__).parents[2] / "docs/sites.md").read_text()
OURS, DIALING, THEIRS, MOUNTED, READ, LAZILY, CACHE = re.findall(
    r"```yaml\n(.*?)```", PAGE, re.DOTALL
)


def test_both_ways_of_declaring_a_site_are_valid(tmp_path):
    for text in (OURS, DIALING):
        (tmp_path / "facility.yaml").write_text(text)
        (site,) = load(tmp_path).sites
        assert (site.kind, site.is_remote) == (SiteKind.SLURM, True)
    assert load(tmp_path).offload.dial_in.port == 2222


def test_the_sites_own_file_is_valid_and_names_the_same_site(tmp_path):
    (tmp_path / "facility.yaml").write_text(DIALING)
    (tmp_path / "site.yaml").write_text(THEIRS)
    config = load_config(tmp_path / "site.yaml")
    assert config.executor is ExecutorKind.SLURM
    assert config.site == load(tmp_path).sites[0].name
    assert str(config.socket_path) in PAGE


def test_the_files_to_dial_in_with_are_those_that_the_plugin_takes():
    assert f"-f {KEY}" in PAGE
    assert f"> {KNOWN_HOSTS}" in PAGE


@pytest.mark.parametrize("text", [MOUNTED, READ, READ + LAZILY])
def test_a_repository_is_named_the_same_way_at_both_ends(tmp_path, text):
    (tmp_path / "site.yaml").write_text(text)
    theirs = load_config(tmp_path / "site.yaml").repository
    assert theirs is not None
    assert (theirs.reading() is None) == (text == MOUNTED)
    below = text.replace("\n", "\n    ")
    (tmp_path / "facility.yaml").write_text(f"sites:\n  - name: far\n    {below}")
    (site,) = load(tmp_path).sites
    (tmp_path / "site.yaml").write_text(json.dumps(plugin_settings(site, "/work")))
    assert load_config(tmp_path / "site.yaml").repository == theirs


def test_offload_cache_is_told_as_it_is_shown(tmp_path):
    (tmp_path / "cache.yaml").write_text(CACHE)
    settings = load_settings(tmp_path / "cache.yaml")
    assert settings.quota_bytes == 50 * 2**30
    assert settings.master_keys == (tmp_path / "images.example.org.pub",)
    for command in re.findall(r"offload-cache --config \S+ (\w+)", PAGE):
        with pytest.raises(SystemExit) as ended:
            main([f"--config={tmp_path / 'cache.yaml'}", command, "--help"])
        assert ended.value.code == 0
