from types import SimpleNamespace

from offload.jobs.agent.following import follow
from offload.jobs.model import ElementName, JobId
from offload.jobs.stages import Stage
from offload.link import Paused, PausedError


async def test_a_log_that_comes_home_while_its_site_is_asked_is_read_there(
    settings,
) -> None:
    element = SimpleNamespace(
        job=JobId(1), index=0, name=ElementName(JobId(1)), stage=Stage.RETURNING
    )
    kept = settings.log(element.name)
    kept.parent.mkdir(parents=True)

    async def client() -> None:
        kept.write_bytes(b"hello\n")
        raise PausedError(Paused("it has gone"))

    ledger = SimpleNamespace(element=lambda *_: (element, "far"))
    sites = {"far": SimpleNamespace(client=client)}
    chunks = follow(settings, ledger, sites, element, until_end=False)
    assert b"".join([chunk async for chunk in chunks]) == b"hello\n"
