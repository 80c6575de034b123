from pathlib import Path

import pytest

from facility.errors import UsageError
from facility.local.login import entrance, login_link
from facility.runtime import Ports, Runtime
from facility.spec import Facility

PORTS = Ports(hub=1, hub_api=2, proxy_api=3, gateway=4, gateway_tls=5, gateway_api=6)


def runtime(tmp_path: Path, **keys: object) -> Runtime:
    return Runtime(
        id="x-1",
        directory=tmp_path,
        state_dir=tmp_path,
        run_dir=tmp_path / "run",
        owner="ana",
        multi_user=False,
        ports=PORTS,
        spec=Facility.model_validate(keys),
    )


def test_each_link_is_another_one(tmp_path):
    one, other = login_link(runtime(tmp_path)), entrance(runtime(tmp_path))
    assert one.startswith("http://127.0.0.1:1/hub/login?token=")
    assert other.startswith("http://127.0.0.1:1/hub/login?token=")
    assert one != other


def test_who_may_not_log_in_gets_no_link(tmp_path):
    facility = runtime(tmp_path, users={"allowed": ["ana", "bo"]})
    assert login_link(facility, "bo")
    with pytest.raises(UsageError) as caught:
        login_link(facility, "eve")
    assert str(caught.value) == (
        "--user: 'eve' may not log in, users.allowed of facility.yaml has ana, bo"
    )


def test_with_passwords_there_are_no_links(tmp_path):
    facility = runtime(tmp_path, hub={"authenticator": "pam"})
    assert entrance(facility) == "http://127.0.0.1:1"
    with pytest.raises(UsageError, match="log in at http://127.0.0.1:1"):
        login_link(facility)
