"""What a facility makes for its publisher, and what it tells it."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facility.errors import FacilityError, UsageError
from facility.local.offloading import settings_of
from facility.local.publishing import (
    check_publisher,
    prepare_publisher,
    publisher_file,
    publisher_url,
)
from facility.local.table import process_table
from facility.runtime import Ports, Runtime
from facility.spec import loads
from offload.cache.cvmfs.keys import Keys
from offload.cache.publishing.desk import repository_of
from offload.cache.publishing.settings import PublisherSettings
from offload.cache.publishing.tokens import person_of

PORTS = Ports(hub=1, hub_api=2, proxy_api=3, gateway=4, gateway_tls=5, gateway_api=6)
PUBLISHING = "{publisher: {fqrn: images.example.org}, users: {allowed: [anna, bob]}}"


@pytest.fixture
def make_runtime(tmp_path: Path):
    def make(text: str) -> Runtime:
        runtime = Runtime(
            id="test-1",
            directory=tmp_path,
            state_dir=tmp_path / "state",
            run_dir=tmp_path / "state/run",
            owner="anna",
            multi_user=False,
            ports=PORTS,
            spec=loads(text, directory=tmp_path),
        )
        runtime.run_dir.mkdir(parents=True, exist_ok=True)
        runtime.secrets_dir.mkdir(exist_ok=True)
        for name in (
            "proxy-token",
            "gateway-proxy-token",
            "publisher-tokens",
            "publisher-events",
        ):
            (runtime.secrets_dir / name).write_text("t")
        return runtime

    return make


def test_without_the_section_there_is_no_publisher(make_runtime):
    runtime = make_runtime("{}")
    prepare_publisher(runtime)
    assert publisher_url(runtime) is None
    assert not publisher_file(runtime).exists()
    assert settings_of(runtime).publisher is None
    assert "publisher" not in {spec.name for spec in process_table(runtime)}


def test_keys_and_repository_are_made_once_and_stay(make_runtime):
    runtime = make_runtime(PUBLISHING)
    prepare_publisher(runtime)
    settings = PublisherSettings.load(publisher_file(runtime))
    before = repository_of(settings).head()
    keys = {p.name: p.read_bytes() for p in settings.keys.iterdir()}
    prepare_publisher(runtime)
    assert repository_of(settings).head() == before
    assert {p.name: p.read_bytes() for p in settings.keys.iterdir()} == keys
    for path in settings.keys.glob("*.*key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hidden" not in publisher_file(runtime).read_text()


def test_each_person_has_a_token_of_his_own(make_runtime):
    runtime = make_runtime(PUBLISHING)
    prepare_publisher(runtime)
    told = settings_of(runtime)
    assert (told.publisher, told.repository) == (
        "http://127.0.0.1:8410",
        "images.example.org",
    )
    assert told.publisher_token is not None
    for person in ("anna", "bob"):
        path = told.publisher_token.with_name(person)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert person_of(f"Bearer {path.read_text()}", "t") == person


def test_the_store_is_a_registry_that_is_asked(make_runtime):
    runtime = make_runtime(
        "{publisher: {fqrn: a.b}, offload: {store: 'https://h:5000/group/env'}}"
    )
    prepare_publisher(runtime)
    (registry,) = PublisherSettings.load(publisher_file(runtime)).registries
    assert (registry.host, registry.repositories) == ("h:5000", ("group/env",))


def test_a_key_that_others_can_read_is_refused(make_runtime):
    runtime = make_runtime(PUBLISHING)
    prepare_publisher(runtime)
    settings = PublisherSettings.load(publisher_file(runtime))
    (settings.keys / "images.example.org.key").chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        prepare_publisher(runtime)


def test_keys_of_another_repository_are_refused(make_runtime):
    runtime = make_runtime(PUBLISHING)
    prepare_publisher(runtime)
    settings = PublisherSettings.load(publisher_file(runtime))
    for path in settings.keys.iterdir():
        path.unlink()
    with pytest.raises(FacilityError, match=r"\.key: cannot be read"):
        prepare_publisher(runtime)
    assert list(settings.keys.iterdir()) == []
    Keys.generate("images.example.org", datetime.now(UTC)).save(
        settings.keys, "images.example.org"
    )
    with pytest.raises(UsageError, match="signed with other keys than those in"):
        prepare_publisher(runtime)


def test_a_folder_with_a_repository_of_another_name_is_refused(make_runtime):
    prepare_publisher(make_runtime(PUBLISHING))
    renamed = make_runtime("{publisher: {fqrn: other.example.org}}")
    with pytest.raises(
        UsageError, match=r"other\.example\.org, got images\.example\.org: put"
    ):
        prepare_publisher(renamed)
    keys = renamed.state_dir / "publisher/keys"
    assert not (keys / "other.example.org.key").exists()


def test_a_port_that_is_taken_is_refused_with_who_has_it(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        spec = loads(f"publisher: {{port: {port}}}", directory=tmp_path)
        with pytest.raises(UsageError, match=f"publisher: 127.0.0.1:{port} cannot"):
            check_publisher(spec)


def test_it_is_supervised(make_runtime):
    specs = {spec.name: spec for spec in process_table(make_runtime(PUBLISHING))}
    assert specs["publisher"].ready_urls == ("http://127.0.0.1:8410/health",)
