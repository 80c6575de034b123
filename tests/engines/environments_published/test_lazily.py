"""First jobs of an environment read it while it still comes; others have all of it."""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest

from offload.cache.publishing.tokens import site_token
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.cache.reading.mounting import Mount, can_mount
from offload.cache.reading.reporting import report_traces
from offload.plugins.node import nodes

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not can_mount(), reason="FUSE: see .ci/system-packages"),
]

READ = """\
import json, os, jinja2, mine, pygments.lexers.python
import markupsafe._speedups as compiled
print(json.dumps({"said": jinja2.Template("{{ word }}").render(word=mine.word),
  "file": compiled.__file__, "real": os.path.realpath(compiled.__file__),
  "is_cached": os.path.exists(jinja2.__spec__.cached)}), flush=True)
"""
SLOWLY = """\
import pathlib, time
pathlib.Path("begun").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.05)
"""


def submit(home, python, site, script=READ, word=""):
    (home.work / "run.py").write_text(f"# {word}\n{script}")
    return home.submit("--site", site, "--", "python", "run.py", python=python)


def result(home, id_):
    home.facility("wait", id_)
    assert home.job(id_)["outcome"] == "succeeded", home.facility("logs", id_)
    return json.loads(home.facility("logs", id_))


def work_of(home, site):
    return home.state / "offload/sites" / site / "work"


def mounts(home):
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    uids = [path.name for site in ("far", "hpc") for path in pods(home, site)]
    return [line for line in lines if any(uid in line for uid in uids)]


def scratches(home, site):
    names = {path.name for path in pods(home, site)}
    folders = Path(os.environ.get("TMPDIR", "/tmp")).glob("facility-*")
    return [p for p in folders if p.name.split("-", 2)[2] in names]


def pods(home, site):
    return [*(work_of(home, site) / "pods").glob("*")]


@pytest.fixture
def published(way, python, tmp_path):
    """The environment is in the repository, with a bundle; returns what a job says."""
    sender = way.home({})
    first = submit(sender, python, "here")
    told = result(sender, first)
    _, public = way.images_of(sender, first)
    image = public.digest
    with way.house.client() as client:
        assert client.wait(image, 100).is_published
    token = tmp_path / "site-token"
    token.write_text(site_token("cold", "of tokens"))
    token.chmod(0o600)
    reading = way.reading()
    settings = RepositorySettings(
        **{key: reading[key] for key in ("fqrn", "urls", "proxies")},
        master_keys=reading["keys"],
        report={"url": way.house.publisher.url, "token": token},
    )
    where = tmp_path / "traced"
    where.mkdir()
    with RepositoryCache(tmp_path / "tracing", settings) as cache:
        with Mount(cache, image, where):
            for part in ("jinja2", "markupsafe", "pygments"):
                for path in where.glob(f"env/lib/python3*/site-packages/{part}/*.*"):
                    path.read_bytes()
        assert report_traces(cache.folder, settings.report) == 1
    return told, public


def is_whole(home, site, public):
    layers = work_of(home, site) / "layers"
    return all((layers / layer.digest[7:]).exists() for layer in public.layers)


def ready(home, site):
    """Have a site whose node was seen to be able to."""
    home.knows(site)
    nodes.note(work_of(home, site), os.uname().nodename, time.time())


def same(got, wanted, *, lazily):
    assert got["real"].startswith("/run/environments/") == lazily
    assert {**got, "real": ""} == {**wanted, "real": ""}


def test_the_first_job_reads_lazily_and_the_second_has_all(
    way, python, plain, published
):
    told, public = published
    home = way.home({"far": way.reading()})
    # The first job there ever finds out that this node can.
    work = work_of(home, "far")
    first = submit(home, plain, "far", SLOWLY)
    home.eventually(lambda: [*work.glob("pods/*/volumes/*/begun")])
    home.eventually(lambda: nodes.can_read_lazily(work, time.time()))
    (begun,) = work.glob("pods/*/volumes/*/begun")
    begun.with_name("go").touch()
    home.facility("wait", first)
    id_ = submit(home, python, "far")
    # Where it had been whole nothing would have been mounted.
    same(result(home, id_), told, lazily=True)
    assert not mounts(home)
    home.eventually(lambda: is_whole(home, "far", public))
    same(result(home, submit(home, python, "far", word="two")), told, lazily=False)
    assert not [*(work_of(home, "far") / "repository").glob("*/pins/*")]
    home.eventually(lambda: not scratches(home, "far"))


def test_a_job_reads_on_when_its_wrapper_is_killed(way, python, published):
    told, _ = published
    home = way.home({"far": way.reading()})
    ready(home, "far")
    id_ = submit(home, python, "far", SLOWLY + READ)
    work = work_of(home, "far")

    def wrapper():
        words = ("offload.plugins.node", str(work / "pods"))
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if all(word in line for word in words):
                return process
        return None

    home.eventually(lambda: [*work.glob("pods/*/volumes/*/begun")])
    assert mounts(home)
    (begun,) = work.glob("pods/*/volumes/*/begun")
    killed = wrapper()
    killed.kill()
    psutil.wait_procs([killed], 10)
    home.eventually(lambda: (new := wrapper()) is not None and new.pid != killed.pid)
    begun.with_name("go").touch()
    same(result(home, id_), told, lazily=True)
    home.eventually(lambda: not mounts(home))
    home.eventually(lambda: not scratches(home, "far"))


def test_a_job_whose_mount_was_killed_is_told_so(way, python, published):
    home = way.home({"far": way.reading()})
    ready(home, "far")
    id_ = submit(home, python, "far", SLOWLY + READ)
    work = work_of(home, "far")
    home.eventually(lambda: [*work.glob("pods/*/volumes/*/begun")])
    (begun,) = work.glob("pods/*/volumes/*/begun")
    for process in home.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "offload.cache.reading.mounted" in process.cmdline():
                process.kill()
    begun.with_name("go").touch()
    home.run("wait", id_)
    node = os.uname().nodename
    assert home.job(id_)["message"].startswith(
        f"exit code 1: its environment, node {node}: what mounts it was killed"
    )
    home.eventually(lambda: not mounts(home))
    home.eventually(lambda: not scratches(home, "far"))


def test_a_job_that_waits_for_the_repository_can_be_cancelled(way, python, published):
    home = way.home({"far": way.reading()})
    ready(home, "far")
    reads = "pathlib.Path('reads').touch()\n"
    id_ = submit(home, python, "far", SLOWLY + reads + READ)
    work = work_of(home, "far")
    home.eventually(lambda: [*work.glob("pods/*/volumes/*/begun")])
    way.house.publisher.kill()
    (begun,) = work.glob("pods/*/volumes/*/begun")
    begun.with_name("go").touch()
    home.eventually(lambda: begun.with_name("reads").exists())
    time.sleep(0.5)  # nothing tells that it waits: it may begin so much later
    home.facility("cancel", id_)
    # It has 20 seconds to end by itself; a read waits for 60.
    home.eventually(lambda: home.job(id_)["outcome"] == "cancelled", 55)
    home.eventually(lambda: not mounts(home))
    home.eventually(lambda: not scratches(home, "far"))


def test_where_nothing_can_be_mounted_all_is_fetched_first(
    way, python, published, tmp_path, monkeypatch
):
    told, _ = published
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for path in Path(folder).glob("*"):
            link = programs / path.name
            if path.name != "fusermount3" and not link.is_symlink():
                link.symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    home = way.home({"far": way.reading()})
    ready(home, "far")
    same(result(home, submit(home, python, "far")), told, lazily=False)
    work = work_of(home, "far")
    assert not nodes.can_read_lazily(work, time.time())
    (fact,) = (work / "nodes").iterdir()
    assert "nothing can be mounted here" in json.loads(fact.read_bytes())["problem"]


@contextlib.contextmanager
def silent():
    """A port that is listened to, and nobody answers; yields it and who has come."""
    came = []
    listening = socket.create_server(("127.0.0.1", 0))

    def take():
        with contextlib.suppress(OSError):
            while True:
                came.append(listening.accept()[0])

    thread = threading.Thread(target=take)
    thread.start()
    yield listening.getsockname()[1], came
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    for each in (listening, *came):
        each.close()


def test_a_node_without_a_way_to_the_squid_is_found_out_once(way, python, published):
    told, public = published
    with silent() as (port, came):
        proxies = {"far": f"http://127.0.0.1:{port}", "off": "http://127.0.0.1:9"}
        home = way.home({site: way.reading() for site in proxies})
        for site, proxy in proxies.items():
            home.knows(site)
            nodes.note(work_of(home, site), "another", time.time())
            place = work_of(home, site) / "node.json"
            settings = json.loads(place.read_bytes())
            settings["reading"]["proxies"] = [proxy]
            place.write_text(json.dumps(settings))
        jobs = {site: submit(home, python, site) for site in proxies}
        for site, proxy in proxies.items():
            same(result(home, jobs[site]), told, lazily=False)
            # The plugin, which has a way, has brought it.
            assert is_whole(home, site, public)
            work = work_of(home, site)
            problem = nodes.noted(work, os.uname().nodename, time.time())
            assert f"through {proxy}: " in problem
            assert not nodes.can_read_lazily(work, time.time())
        assert came
        before = len(came)
        same(result(home, submit(home, python, "far", word="two")), told, lazily=False)
        assert len(came) == before


def test_a_site_that_shall_never_read_lazily_does_not(way, python, published):
    told, _ = published
    home = way.home({"far": way.reading(lazy="never")})
    ready(home, "far")
    same(result(home, submit(home, python, "far")), told, lazily=False)


def test_a_slurm_job_reads_lazily(way, slurm, python, published):
    told, _ = published
    home = way.home({"hpc": way.reading()}, slurm=slurm)
    ready(home, "hpc")
    same(result(home, submit(home, python, "hpc")), told, lazily=True)
    assert not mounts(home)
    home.eventually(lambda: not scratches(home, "hpc"))
