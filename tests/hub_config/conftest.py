"""A facility that does not run: paths, ports and secrets, for the hub's settings."""

import secrets
from pathlib import Path

import pytest

from facility.runtime import Ports, Runtime
from facility.spec import Facility

SECRETS = (
    "proxy-token",
    "hub-cookie",
    "hub-crypt",
    "gateway-hub-token",
    "admin-token",
)


@pytest.fixture
def make_runtime(tmp_path: Path):
    """Return a function that makes a runtime from keys of ``facility.yaml``."""

    def make(*, multi_user: bool = False, **keys: object) -> Runtime:
        folder = tmp_path / "state" / "secrets"
        folder.mkdir(parents=True, exist_ok=True)
        for name in SECRETS:
            (folder / name).write_text(secrets.token_hex(32))
        return Runtime(
            id="test-0123",
            directory=tmp_path,
            state_dir=tmp_path / "state",
            run_dir=tmp_path / "run",
            owner="anna",
            multi_user=multi_user,
            ports=Ports(
                hub=8000,
                hub_api=8001,
                proxy_api=8002,
                gateway=8003,
                gateway_tls=8004,
                gateway_api=8005,
            ),
            spec=Facility.model_validate(keys),
        )

    return make


@pytest.fixture
def runtime(make_runtime) -> Runtime:
    return make_runtime()
