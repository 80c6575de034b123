import os
import pwd
from pathlib import Path

import pytest

from facility.runtime import Ports, Runtime
from facility.spec import Facility
from gateway.users import UnknownUserError, base_environment, identity_of


def runtime(*, multi_user: bool, **users: list[str]) -> Runtime:
    return Runtime(
        id="test-0123",
        directory=Path("/nowhere"),
        state_dir=Path("/nowhere"),
        run_dir=Path("/nowhere"),
        owner=pwd.getpwuid(os.getuid()).pw_name,
        multi_user=multi_user,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 1)),
        spec=Facility.model_validate({"users": users}),
    )


def test_who_is_not_of_the_people_runs_nothing() -> None:
    """An administrator of the hub can make users of any name, with tokens."""
    ours = runtime(multi_user=True, allowed=["anna"])
    for name in (ours.owner, "daemon"):
        with pytest.raises(UnknownUserError, match="not in users of facility.yaml"):
            identity_of(ours, name)


def test_people_of_the_system_have_their_ids() -> None:
    ours = runtime(multi_user=True, allowed=["daemon"])
    account = pwd.getpwnam("daemon")
    identity = identity_of(ours, "daemon")
    assert identity is not None
    assert (identity.uid, identity.gid) == (account.pw_uid, account.pw_gid)
    assert base_environment(ours, "daemon")["HOME"] == account.pw_dir


def test_an_unset_home_is_looked_up(monkeypatch) -> None:
    """As a service of the system we have none."""
    monkeypatch.delenv("HOME", raising=False)
    ours = runtime(multi_user=False)
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert base_environment(ours, ours.owner)["HOME"] == home
