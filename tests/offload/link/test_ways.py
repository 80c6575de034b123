"""What an entry of facility.yaml means for the way to a site and for its plugin."""

from pathlib import Path

import pytest

from facility.spec import Facility, loads
from offload.link.dialed import DialedLink
from offload.link.reaching import SshLink
from offload.link.ways import link_for, login_of
from offload.plugins.config import ExecutorKind, load_config


def site_of(text):
    facility = loads(f"sites: [{text}]", directory=Path("/"))
    assert isinstance(facility, Facility)
    return facility.sites[0]


def test_what_is_written_for_a_site_is_a_configuration_of_its_plugin(tmp_path):
    login = login_of(
        site_of(
            "{name: big, kind: slurm, host: h, work: /shared/anna, partition: gpu, "
            "flags: [--account=a], slices: {1g.5gb: 'gpu:1g.5gb'}}"
        )
    )
    file = tmp_path / "site.yaml"
    assert login.content is not None
    file.write_text(login.content)
    config = load_config(file)
    assert (config.site, config.executor) == ("big", ExecutorKind.SLURM)
    assert config.slurm.partition == "gpu"
    assert config.slurm.flags == ("--account=a",)
    assert config.slices == {"1g.5gb": "gpu:1g.5gb"}
    assert str(config.socket_path) == login.socket == "/shared/anna/plugin.sock"
    assert login.config == "/shared/anna/site.yaml"


def test_a_site_that_has_its_own_configuration_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    login = login_of(site_of("{name: big, host: h, config: /etc/site.yaml}"))
    assert (login.content, login.config) == (None, "/etc/site.yaml")
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert Path(login.socket).expanduser() == load_config(empty).socket_path


KEY = "ssh-ed25519 AAAAC3Nz"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{name: big, host: h}", SshLink),
        (f"{{name: far, keys: [{{key: {KEY}}}]}}", DialedLink),
    ],
)
def test_the_way_follows_from_the_entry(text, kind, tmp_path):
    link = link_for(
        site_of(text), person="anna", folder=tmp_path, dialed=tmp_path / "dialed"
    )
    assert isinstance(link, kind)
