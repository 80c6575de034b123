import re
import stat
from pathlib import Path
from types import SimpleNamespace

import dask.config
import pytest
from traitlets.config import Config

from facility.errors import UsageError
from hub_config import authentication, hub, services, spawner
from hub_config.server_log import log_path, open_log

OAUTH = {
    "authorize_url": "https://id.example/authorize",
    "token_url": "https://id.example/token",
    "userdata_url": "https://id.example/userinfo",
    "client_id": "facility",
}


def test_everything_of_the_hub_listens_on_loopback(runtime):
    config = hub.settings(runtime)
    assert config.JupyterHub.hub_bind_url == "http://127.0.0.1:8001"
    assert config.ConfigurableHTTPProxy.api_url == "http://127.0.0.1:8002"
    assert config.JupyterHub.bind_url == "http://127.0.0.1:8000"


def test_the_hub_leaves_servers_and_proxy_alone_when_it_ends(runtime):
    config = hub.settings(runtime)
    assert config.JupyterHub.cleanup_servers is False
    assert config.JupyterHub.cleanup_proxy is False
    assert config.ConfigurableHTTPProxy.should_start is False


def test_over_tls_every_cookie_is_for_tls_only(make_runtime):
    plain = hub.settings(make_runtime()).JupyterHub.tornado_settings
    assert "cookie_options" not in plain
    tls = {"tls_certificate": "/etc/cert.pem", "tls_key": "/etc/key.pem"}
    settings = hub.settings(make_runtime(hub=tls)).JupyterHub.tornado_settings
    assert settings["cookie_options"] == {"secure": True}


def test_keys_are_32_bytes_from_the_facilitys_secrets(runtime):
    config = hub.settings(runtime)
    assert config.JupyterHub.cookie_secret.hex() == runtime.secret("hub-cookie")
    (key,) = config.CryptKeeper["keys"]
    assert key.hex() == runtime.secret("hub-crypt")


def test_no_service_has_a_url_that_the_hub_would_wait_for(runtime):
    config = services.settings(runtime)
    assert {s["name"] for s in config.JupyterHub.services} == {
        "dask-gateway",
        "facility",
        "idle-culler",
    }
    assert not any("url" in s for s in config.JupyterHub.services)
    assert config.Proxy.extra_routes == {
        "/services/dask-gateway/": "http://127.0.0.1:8003"
    }


def _scopes(runtime) -> dict[str, set[str]]:
    roles = services.settings(runtime).JupyterHub.load_roles
    return {role["name"]: set(role["scopes"]) for role in roles}


@pytest.mark.parametrize("role", ["user", "server"])
def test_users_and_servers_may_use_dask_clusters(runtime, role):
    assert "access:services!service=dask-gateway" in _scopes(runtime)[role]


def test_no_role_can_act_as_a_user_or_administer(runtime):
    for role, scopes in _scopes(runtime).items():
        for scope in scopes:
            assert not scope.startswith(("admin:", "tokens", "access:servers")) or (
                role == "server" and scope == "access:servers!server"
            )


def test_the_cullers_token_is_stable_and_is_no_secret_of_another(runtime):
    token = services.culler_token(runtime)
    assert token == services.culler_token(runtime)
    assert token not in {p.read_text() for p in runtime.secrets_dir.iterdir()}


def test_groups_follow_the_file(make_runtime):
    runtime = make_runtime(groups={"cms": {"users": ["anna", "bert"]}})
    groups = services.settings(runtime).JupyterHub.load_groups
    assert groups == {"cms": {"users": ["anna", "bert"]}}


def test_the_owner_alone_may_log_in_unless_others_are_named(make_runtime):
    config = authentication.settings(make_runtime())
    assert config.Authenticator.allowed_users == {"anna"}
    assert config.Authenticator.admin_users == set()


def test_others_need_root(make_runtime):
    users = {"allowed": ["anna", "bert"], "admins": ["anna"]}
    with pytest.raises(UsageError, match=r"'bert'.*run it as root"):
        authentication.settings(make_runtime(users=users))
    config = authentication.settings(make_runtime(multi_user=True, users=users))
    assert config.Authenticator.allowed_users == {"anna", "bert"}
    assert config.Authenticator.admin_users == {"anna"}


def test_pam_takes_names_that_are_no_paths(make_runtime):
    runtime = make_runtime(hub={"authenticator": "pam"})
    config = authentication.settings(runtime)
    assert config.JupyterHub.authenticator_class == "pam"
    assert config.Authenticator.username_pattern == authentication.USERNAME_PATTERN


@pytest.mark.parametrize(
    "name", ["../anna", "a/b", ".ssh", "anna\n", "Anna", "", "a" * 33, "a b", "é"]
)
def test_the_name_pattern_refuses(name):
    assert re.match(authentication.USERNAME_PATTERN, name) is None


def _secret_file(folder: Path, mode: int) -> Path:
    path = folder / "client-secret"
    path.write_text("hidden\n")
    path.chmod(mode)
    return path


def test_oauth_without_its_package_says_what_to_install(
    make_runtime, tmp_path, monkeypatch
):
    monkeypatch.setattr(authentication, "find_spec", lambda name: None)
    secret = _secret_file(tmp_path, 0o600)
    runtime = make_runtime(
        hub={"authenticator": "oauth", "oauth": OAUTH | {"client_secret_file": secret}}
    )
    with pytest.raises(UsageError, match=r"pip install 'analysis-facility\[oauth\]'"):
        authentication.settings(runtime)


@pytest.mark.parametrize(
    ("mode", "message"), [(0o644, "others can read it"), (None, "No such file")]
)
def test_oauth_secrets_must_be_private_files(
    make_runtime, tmp_path, monkeypatch, mode, message
):
    monkeypatch.setattr(authentication, "find_spec", lambda name: object())
    secret = tmp_path / "none" if mode is None else _secret_file(tmp_path, mode)
    runtime = make_runtime(
        hub={"authenticator": "oauth", "oauth": OAUTH | {"client_secret_file": secret}}
    )
    with pytest.raises(UsageError, match=message):
        authentication.settings(runtime)


def test_oauth_settings_follow_the_file(make_runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(authentication, "find_spec", lambda name: object())
    secret = _secret_file(tmp_path, 0o600)
    config = authentication.settings(
        make_runtime(
            hub={
                "authenticator": "oauth",
                "oauth": OAUTH | {"client_secret_file": secret},
            }
        )
    )
    provider: Config = config.GenericOAuthenticator
    assert provider.client_secret == "hidden"
    assert provider.oauth_callback_url == "http://127.0.0.1:8000/hub/oauth_callback"
    assert config.Authenticator.allowed_users == {"anna"}


def test_servers_find_gateway_and_mark_and_no_secret(runtime):
    environment = spawner.environment(runtime)
    assert environment["FACILITY_ID"] == "test-0123"
    assert environment["DASK_GATEWAY__ADDRESS"] == (
        "http://127.0.0.1:8003/services/dask-gateway"
    )
    assert environment["DASK_GATEWAY__PROXY_ADDRESS"] == "gateway://127.0.0.1:8004"
    assert "FACILITY_RUNTIME" not in environment
    secrets = {p.read_text() for p in runtime.secrets_dir.iterdir()}
    assert not secrets & set(environment.values())


def test_dask_in_a_server_reads_where_the_gateway_is(runtime):
    fixed = {
        name: value
        for name, value in spawner.environment(runtime).items()
        if isinstance(value, str)
    }
    config = dask.config.collect_env(fixed)
    for key, value in {
        "gateway.address": runtime.gateway_url,
        "gateway.proxy-address": runtime.gateway_tls_url,
        "labextension.factory.module": "dask_gateway",
        "labextension.factory.class": "GatewayCluster",
    }.items():
        assert dask.config.get(key, config=config) == value


def test_a_server_log_is_private_and_put_aside_when_it_is_large(make_runtime):
    runtime = make_runtime(storage={"log_size": 10})
    for text in (b"first, long enough", b"second"):
        with open_log(runtime, "anna") as log:
            log.write(text)
    path = log_path(runtime, "anna")
    assert path.read_bytes() == b"second"
    assert path.with_suffix(".log.1").read_bytes() == b"first, long enough"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_server_log_is_never_written_through_a_link(runtime, tmp_path):
    runtime.log_dir.mkdir(parents=True)
    log_path(runtime, "anna").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(runtime, "anna")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("name", ["root", "daemon"])
def test_a_user_made_by_an_administrator_of_the_hub_has_no_server(
    make_runtime, monkeypatch, name
):
    """He could be root: the file says whose processes run here, not the hub."""
    runtime = make_runtime(multi_user=True, users={"allowed": ["anna"]})
    monkeypatch.setattr(spawner.os, "getuid", lambda: 0)
    asked = SimpleNamespace(runtime=runtime, user=SimpleNamespace(name=name))
    with pytest.raises(spawner.ServerRefusedError, match="not in users of facility"):
        spawner.FacilitySpawner._account(asked)


def test_the_one_person_reaches_networks_from_his_notebooks_as_he_does(
    runtime, monkeypatch
):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    kept = {
        multi: spawner.FacilitySpawner(
            runtime=runtime.model_copy(update={"multi_user": multi})
        ).env_keep
        for multi in (False, True)
    }
    assert {"HTTPS_PROXY", "PIP_INDEX_URL", "PATH"} <= set(kept[False])
    assert "HTTPS_PROXY" not in kept[True]
