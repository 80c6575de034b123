"""What a facility tells agents, people's programs and the place where sites dial in."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from facility.errors import UsageError
from facility.local.offloading import (
    check_offload,
    endpoint_of,
    launcher_socket,
    prepare_offload,
    settings_of,
    sites_of,
)
from facility.local.table import environment_of, process_table
from facility.open_places import OFFLOAD
from facility.runtime import Ports, Runtime
from facility.spec import Facility, loads
from offload.jobs.settings import Settings
from offload.link.admission import EndpointSettings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0y"
PORTS = Ports(hub=1, hub_api=2, proxy_api=3, gateway=4, gateway_tls=5, gateway_api=6)


@pytest.fixture
def runtime(tmp_path):
    def make(text="{}", *, multi_user=False):
        runtime = Runtime(
            id="test-1",
            directory=tmp_path,
            state_dir=tmp_path / "state",
            run_dir=tmp_path / "state/run",
            owner="anna",
            multi_user=multi_user,
            ports=PORTS,
            spec=loads(text, directory=tmp_path),
        )
        runtime.run_dir.mkdir(parents=True, exist_ok=True)
        runtime.secrets_dir.mkdir(exist_ok=True)
        for name in ("proxy-token", "gateway-proxy-token"):
            (runtime.secrets_dir / name).write_text("t")
        return runtime

    return make


def test_this_machine_is_a_site_unless_the_file_says_otherwise():
    assert [site.name for site in sites_of(Facility())] == ["here"]
    ours = loads("sites: [{name: here, description: mine}]", directory=Path("/"))
    assert [site.description for site in sites_of(ours)] == ["mine"]
    more = loads("sites: [{name: big, host: h}]", directory=Path("/"))
    assert [site.name for site in sites_of(more)] == ["here", "big"]


def test_people_are_told_where_jobs_are_recorded(runtime, tmp_path, monkeypatch):
    one = runtime("offload: {store: 'https://r.example.org/a', jobs: my/jobs}")
    prepare_offload(one)
    assert stat.S_IMODE(one.offload_file.stat().st_mode) == 0o600
    settings = Settings.load(one.offload_file)
    assert settings == settings_of(one)
    assert settings.home == tmp_path / "state/jobs"
    assert settings.store == "https://r.example.org/a"
    monkeypatch.setenv("HOME", "/home/anna")
    assert settings.folder(7) == Path("/home/anna/my/jobs/7")
    assert environment_of(one)[OFFLOAD] == str(one.offload_file)


def test_with_several_users_each_has_his_own_ledger(runtime, monkeypatch):
    many = runtime("users: {allowed: [anna, bert]}", multi_user=True)
    settings = settings_of(many)
    monkeypatch.setenv("HOME", "/home/bert")
    assert settings.home == Path(
        "/home/bert/.local/state/analysis-facility/test-1/jobs"
    )
    assert settings.people == ("anna", "bert")
    assert launcher_socket(many).parent == many.open_dir
    assert many.offload_file.parent == many.open_dir


def test_agents_are_in_the_table_and_link_only_when_a_site_dials_in(runtime):
    plain = process_table(runtime())
    assert [spec.name for spec in plain][-1] == "agents"
    dialing = process_table(runtime(f"sites: [{{name: far, keys: [{{key: {KEY}}}]}}]"))
    assert [spec.name for spec in dialing][-2:] == ["agents", "link"]
    assert dialing[-1].ready_urls == ("tcp://127.0.0.1:2222",)


def test_the_endpoint_is_told_whose_key_is_whose_and_gets_a_host_key(runtime):
    one = runtime(
        "users: {allowed: [anna, bert]}\n"
        f"sites: [{{name: far, keys: [{{key: {KEY}}}, {{key: {KEY}b, person: bert, "
        "expires: 2026-12-31}]}]"
    )
    prepare_offload(one)
    told = EndpointSettings.load(one.run_dir / "link.json")
    assert told == endpoint_of(one)
    assert [key.person for key in told.keys] == ["anna", "bert"]
    mode = told.host_key.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    public = told.host_key.with_suffix(".pub").read_text()
    assert public.startswith("ssh-ed25519 ")
    before = told.host_key.read_bytes()
    prepare_offload(one)
    assert told.host_key.read_bytes() == before
    assert told.host_key.with_suffix(".pub").read_text() == public
    assert before.decode() not in (one.run_dir / "link.json").read_text()


def test_a_key_of_somebody_else_is_refused():
    spec = loads(
        f"sites: [{{name: far, keys: [{{key: {KEY}, person: eve}}]}}]",
        directory=Path("/"),
    )
    with pytest.raises(UsageError, match="far has a key of 'eve', who is not in users"):
        check_offload(spec, "anna")


def test_a_port_that_somebody_has_is_refused_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        spec = loads(
            f"sites: [{{name: far, keys: [{{key: {KEY}}}]}}]\n"
            f"offload: {{dial_in: {{bind: 127.0.0.1, port: {port}}}}}",
            directory=Path("/"),
        )
        with pytest.raises(UsageError) as caught:
            check_offload(spec, "anna")
        assert str(caught.value).startswith(
            f"offload.dial_in: 127.0.0.1:{port} cannot be had (Address already in use; "
            f"in use by process {os.getpid()} "
        )
    check_offload(spec, "anna")


def test_settings_hold_no_secret(runtime):
    one = runtime(f"sites: [{{name: far, keys: [{{key: {KEY}}}]}}]")
    (one.secrets_dir / "admin-token").write_text("very-secret")
    prepare_offload(one)
    for file in (one.offload_file, one.run_dir / "link.json"):
        assert "secret-" not in file.read_text()
        json.loads(file.read_text())
