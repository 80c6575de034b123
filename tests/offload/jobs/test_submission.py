import json
import threading
import time
from pathlib import Path

import pytest

from offload.jobs import queries
from offload.jobs.errors import JobRefusedError, NoSuchJobError, NoSuchSiteError
from offload.jobs.settings import Settings
from offload.jobs.site_reports import SiteReport
from offload.jobs.stages import Outcome, Stage
from offload.jobs.submission import relevant_environment, submit
from offload.jobs.wake import NOBODY


def test_a_job_without_an_agent_stays_frozen_and_says_so(
    settings, snapshot, spec_of
) -> None:
    id_ = submit(snapshot, spec_of(), settings)
    job = queries.job(settings, str(id_))
    assert (job.stage, job.waiting) == (Stage.FROZEN, NOBODY)
    assert job.warnings == ("a link leaves the tree",)
    assert [j.id for j in queries.jobs(settings)] == [id_]


def test_an_id_is_never_that_of_another_facilitys_folder(
    settings, snapshot, spec_of
) -> None:
    for name in ("7", "20261121", "notes"):
        settings.folder(name).mkdir(parents=True)
    assert submit(snapshot, spec_of(), settings) == 8
    assert submit(snapshot, spec_of(), settings) == 9


def nothing_recorded(settings: Settings) -> bool:
    return queries.jobs(settings) == []


def test_an_unknown_site_is_refused_with_those_there_are(
    settings, snapshot, spec_of
) -> None:
    with pytest.raises(NoSuchSiteError, match=r"'x': .* there are: here$"):
        submit(snapshot, spec_of(site="x"), settings)
    assert nothing_recorded(settings)


def test_what_no_known_site_can_run_is_refused(
    settings, snapshot, spec_of, ledger
) -> None:
    info = json.dumps({"version": "1", "slices": {"nvidia.com/mig-1g.5gb": 1}})
    ledger.sites.record(SiteReport("here", "ready", info=info))
    submit(snapshot, spec_of(slice="1g.5gb"), settings)
    with pytest.raises(JobRefusedError, match="^site here has no slice 2g.10gb"):
        submit(snapshot, spec_of(slice="2g.10gb"), settings)
    assert len(queries.jobs(settings)) == 1


def test_credentials_must_be_there_and_private(settings, snapshot, spec_of) -> None:
    spec = spec_of(credentials=("token",))
    with pytest.raises(JobRefusedError, match=r"there are: none$"):
        submit(snapshot, spec, settings)
    settings.credentials_dir.mkdir(parents=True)
    path = settings.credentials_dir / "token"
    path.write_text("s3cret")
    path.chmod(0o644)
    with pytest.raises(JobRefusedError, match=r"is open to others: chmod 600"):
        submit(snapshot, spec, settings)
    assert nothing_recorded(settings)
    path.chmod(0o600)
    submit(snapshot, spec, settings)
    assert b"s3cret" not in settings.ledger.read_bytes()


def test_the_environment_of_a_job_holds_no_tokens() -> None:
    shell = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "JUPYTERHUB_API_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "k",
        "SSH_AUTH_SOCK": "/s",
        "LANGCHAIN_API_KEY": "k",
        "PATHFINDER_TOKEN": "t",
        "TZ_SECRET": "s",
    }
    assert relevant_environment(shell) == {"PATH": "/bin", "LC_ALL": "C"}


def test_waiting_ends_when_somebody_records_that_it_is_done(
    settings, snapshot, spec_of, ledger
) -> None:
    id_ = submit(snapshot, spec_of(), settings)
    seen = []

    def elsewhere() -> None:
        while not seen:
            time.sleep(0.005)
        ledger.finish(id_, [0], [Stage.FROZEN], outcome=Outcome.CANCELLED)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    job = queries.wait(settings, str(id_), timeout_s=30, on_change=seen.append)
    thread.join()
    assert job.outcome is Outcome.CANCELLED
    assert [j.stage for j in seen] == [Stage.FROZEN, Stage.DONE]


def test_waiting_has_an_end(settings, snapshot, spec_of) -> None:
    id_ = submit(snapshot, spec_of(), settings)
    with pytest.raises(TimeoutError, match="is not done after"):
        queries.wait(settings, str(id_), timeout_s=0.02)


def test_cancelling_is_recorded_without_an_agent(settings, snapshot, spec_of) -> None:
    id_ = submit(snapshot, spec_of(count=3), settings)
    assert queries.cancel(settings, f"{id_}.1")
    assert queries.cancel(settings, f"{id_}")
    assert not queries.cancel(settings, f"{id_}")
    with pytest.raises(NoSuchJobError, match="has 3 elements, counted from 0"):
        queries.cancel(settings, f"{id_}.3")


def test_logs_are_read_from_the_jobs_folder_once_it_is_done(
    settings, snapshot, spec_of, ledger
) -> None:
    id_ = submit(snapshot, spec_of(count=2), settings)
    ledger.finish(id_, [0, 1], [Stage.FROZEN], outcome=Outcome.SUCCEEDED)
    folder = settings.jobs_dir / str(id_) / "1" / "logs"
    folder.mkdir(parents=True)
    (folder / "main.log").write_bytes(b"\xff\n")
    assert b"".join(queries.logs(settings, f"{id_}.1")) == b"\xff\n"
    assert b"".join(queries.logs(settings, f"{id_}.0")) == b""


def test_settings_are_read_back(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "offload.json"
    settings.save(path, mode=0o644)
    assert Settings.load(path) == settings


def test_broken_settings_say_where(tmp_path: Path) -> None:
    path = tmp_path / "offload.json"
    path.write_text('{"facility_id": 3}')
    with pytest.raises(Exception, match=r"offload.json: facility_id: .*string"):
        Settings.load(path)
