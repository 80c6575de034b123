from pathlib import Path

from offload.jobs.stages import Outcome, Stage


async def test_a_job_is_carried_from_frozen_to_merged(
    far, site, project: Path, pack, agent, send, until_done
) -> None:
    pack({"results/mass.txt": "91.2", "scratch.txt": "x"})
    site.behave(run_s=0.1)
    job = await until_done(send(outputs=("results/**",)))
    assert (job.outcome, job.message) == (Outcome.SUCCEEDED, "")
    assert list(job.times) == list(Stage)
    assert (project / "results/mass.txt").read_text() == "91.2"
    assert not (project / "scratch.txt").exists()
    folder = far.jobs_dir / str(job.id)
    assert (folder / "outputs/scratch.txt").read_text() == "x"
    assert (folder / "logs/main.log").read_bytes() == b"hello from job-1\n"
