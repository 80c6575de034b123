"""One's own jobs and the sites in ``facility status``: read from the ledger itself."""

from facility.local.job_report import JobReport, SiteRow, look_at_jobs
from facility.spec import Site
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.jobs.site_reports import SiteReport
from offload.jobs.specification import job_spec


def test_nothing_before_the_first_job(tmp_path):
    assert look_at_jobs(tmp_path / "offload.json") is None
    settings = Settings(
        facility_id="t-1",
        state_dir=tmp_path / "jobs",
        launcher_socket=tmp_path / "s",
    )
    settings.save(tmp_path / "offload.json")
    assert look_at_jobs(tmp_path / "offload.json") is None


def test_open_jobs_are_counted_and_sites_are_as_the_agent_saw_them(tmp_path):
    settings = Settings(
        facility_id="t-1",
        state_dir=tmp_path / "jobs",
        launcher_socket=tmp_path / "s",
        sites=(Site(name="here"), Site(name="big", host="h")),
    )
    settings.save(tmp_path / "offload.json")
    ledger = Ledger(settings.ledger)
    spec = job_spec(command=("true",), root="/p", cwd="/p")
    jobs = [ledger.add(spec, snapshot="{}", image="sha256:0") for _ in range(3)]
    ledger.close_job(jobs[0])
    ledger.sites.record(SiteReport("big", "paused", "its certificate ended", 2.0))
    ledger.close()
    assert look_at_jobs(tmp_path / "offload.json") == JobReport(
        2,
        (
            SiteRow("here", "not asked yet", ""),
            SiteRow("big", "paused", "its certificate ended"),
        ),
    )
