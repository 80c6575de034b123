"""What docs/sites.md shows is what facility and plugin read."""

import re
from pathlib import Path

from facility.spec import SiteKind, load
from offload.plugins.config import ExecutorKind, load_config
from offload.plugins.main import KEY, KNOWN_HOSTS

PAGE = (Path(__file__).parents[2] / "docs/sites.md").read_text()
OURS, DIALING, THEIRS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


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
