from pathlib import Path

import pytest

from facility.errors import UsageError
from facility.local.people import check_people, closed_folder
from facility.spec import Facility

TWO = Facility.model_validate({"users": {"allowed": ["anna", "bob"]}})


def test_one_person_needs_no_root() -> None:
    check_people(Facility(), "anna", is_root=False)
    one = Facility.model_validate({"users": {"allowed": ["anna"]}})
    check_people(one, "anna", is_root=False)


def test_others_need_root() -> None:
    with pytest.raises(UsageError) as caught:
        check_people(TWO, "anna", is_root=False)
    assert str(caught.value) == (
        "users.allowed names 'bob', but the facility runs as 'anna' and can start "
        "servers for that user only: run it as root, or remove the name"
    )


def test_others_must_reach_the_software(tmp_path: Path, monkeypatch) -> None:
    prefix = tmp_path / "closed" / "venv"
    prefix.mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 1:
            assert closed_folder(prefix) in {folder, *folder.parents}
            break
    prefix.parent.chmod(0o700)
    monkeypatch.setattr("sys.prefix", str(prefix))
    with pytest.raises(UsageError, match="is closed to others, but the notebooks of"):
        check_people(TWO, "anna", is_root=True)
    assert closed_folder(Path("/usr/bin")) is None
