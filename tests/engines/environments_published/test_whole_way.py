"""From ``facility submit`` over registry, publisher and squid to a site's job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import httpx
import pytest

from offload.cache.publishing.client import ImageState
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.tokens import site_token
from offload.cache.reading.mounting import unmount
from offload.jobs.agent.publishing import Publishing
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.snapshot import LocalStore
from offload.snapshot.store.local import MANIFEST_TYPE
from tests.environment import wheel_server as wheels

pytestmark = pytest.mark.engines

MARKER = b"q4Xv-of-the-owner-alone"
SCRIPT = """\
import json, os, jinja2, mine, markupsafe._speedups as compiled
print(json.dumps({"said": jinja2.Template("{{ word }}").render(word=mine.word),
  "file": compiled.__file__, "real": os.path.realpath(compiled.__file__),
  "is_cached": os.path.exists(jinja2.__spec__.cached)}))
"""


def submit(home, python, site, word="") -> str:
    (home.work / "run.py").write_text(f"# {MARKER.decode()} {word}\n{SCRIPT}")
    return home.submit("--site", site, "--", "python", "run.py", python=python)


def result(home, id_) -> dict:
    home.facility("wait", id_)
    assert home.job(id_)["outcome"] == "succeeded", home.logs()
    found = json.loads(home.facility("logs", id_))
    assert found["said"] == MARKER.decode()
    assert found["is_cached"]  # byte code travels beside what is public
    return found


def publications(home):
    ledger = Ledger(Settings.load(home.settings).ledger)
    try:
        return ledger.publications.all()
    finally:
        ledger.close()


def visible(way, home, id_) -> None:
    """Wait until the public part of a job's environment is in the repository."""
    _, public = way.images_of(home, id_)
    with way.house.client() as client:
        try:
            status = client.wait(public.digest, 100)
        except PublishingError as error:
            raise AssertionError(f"{error}{home.logs()}") from None
    assert status.state is ImageState.PUBLISHED, status


def work_of(home, site) -> Path:
    return next((home.state / "offload/sites" / site).glob("work"))


def contents_of(house) -> int:
    """Look at every byte of a repository, decompressed too; return how many objects."""
    house.publisher.stop()  # while it writes files come and go
    objects = 0
    for path in (house.settings.folder / "public").rglob("*"):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        assert MARKER not in raw, path
        if "/data/" in str(path):
            objects += 1
            assert MARKER not in zlib.decompress(raw), path
    return objects


def test_what_one_site_was_sent_another_reads(way, python):
    home = way.home({"far": way.reading()})
    first = submit(home, python, "here")
    told = result(home, first)
    assert told["file"] == told["real"]
    visible(way, home, first)
    second = submit(home, python, "far", "second")
    assert result(home, second) == told
    image, public = way.images_of(home, second)
    work = work_of(home, "far")
    kept = work / "repository"
    for layer in public.layers:
        name = layer.digest.removeprefix("sha256:")
        theirs = {p.stat().st_ino for p in kept.rglob("*") if p.is_file()}
        files = [p for p in (work / "layers" / name).rglob("*") if p.is_file()]
        assert files
        assert {p.stat().st_ino for p in files} <= theirs  # fetched, and not sent
    others = [x for x in image.layers if not x.is_public]
    assert len(others) > 1  # code, scripts, records, byte code: those were
    (done,) = publications(home)
    assert done.is_handed_over
    assert contents_of(way.house) > 30


def test_a_job_reads_what_the_site_mounts(way, mount, python):
    sender = way.home({})
    first = submit(sender, python, "here")
    result(sender, first)
    visible(way, sender, first)
    point = mount()
    home = way.home({"grid": {"fqrn": way.reading()["fqrn"], "mount": str(point)}})
    told = result(home, submit(home, python, "grid"))
    assert told["file"].startswith(str(python.parents[1]))
    assert told["real"].startswith(f"{point}/.layers/")
    work = work_of(home, "grid")
    _, public = way.images_of(home, "1")
    for layer in public.layers:
        name = layer.digest.removeprefix("sha256:")
        assert not (work / "layers" / name).exists()
        assert not (work / "store/blobs/sha256" / name).exists()


def test_a_repository_that_is_away_holds_nobody_up(way, python):
    home = way.home({"far": way.reading(urls=["http://127.0.0.1:9/cvmfs/none"])})
    told = result(home, submit(home, python, "far"))
    assert told["file"] == told["real"]


def test_what_was_wanted_is_published_after_everybody_was_killed(way, python):
    way.house.publisher.stop()
    home = way.home({}, registry=False)
    id_ = submit(home, python, "here")
    result(home, id_)
    home.eventually(lambda: any(each.detail for each in publications(home)))
    home.kill_agent()
    (waiting,) = publications(home)
    assert waiting.is_open
    assert "cannot be reached" in waiting.detail
    way.house.publisher.start()
    home.start_agent()
    home.eventually(lambda: publications(home)[0].is_handed_over)
    visible(way, home, id_)
    assert contents_of(way.house) > 30


def test_a_slurm_job_has_its_environment_from_the_repository(way, slurm, python):
    sender = way.home({})
    first = submit(sender, python, "here")
    result(sender, first)
    visible(way, sender, first)
    home = way.home({"hpc": way.reading()}, slurm=slurm)
    told = result(home, submit(home, python, "hpc"))
    assert told["file"].startswith(str(python.parents[1]))
    _, public = way.images_of(home, "1")
    kept = next(iter(public.layers)).digest.removeprefix("sha256:")
    assert (
        work_of(home, "hpc") / "repository/images.example.org/layers" / kept
    ).is_dir()
    assert os.listdir(work_of(home, "hpc") / "layers")


def test_a_name_in_the_registry_goes_when_nobody_needs_it(way, python):
    home = way.home({})
    id_ = submit(home, python, "here")
    result(home, id_)
    visible(way, home, id_)
    _, public = way.images_of(home, id_)
    settings = Settings.load(home.settings)
    ledger = Ledger(settings.ledger)
    publishing = Publishing(settings, ledger, LocalStore(settings.snapshots))
    later = time.time() + settings.retention_s + 86400

    registry = httpx.Client(
        base_url=f"http://{way.house.host}/v2/people/environments",
        headers={"Accept": MANIFEST_TYPE},
        trust_env=False,
    )

    def tags() -> set[str]:
        return set(registry.get("/tags/list").json()["tags"])

    def tag(name: str, meant: str) -> None:
        manifest = registry.get(f"/manifests/{meant}").content
        headers = {"Content-Type": MANIFEST_TYPE}
        registry.put(f"/manifests/{name}", content=manifest, headers=headers)

    try:
        with way.house.client() as client:
            assert client.status(public.digest).leases
            home.kill_agent()  # the next one begins with telling what is needed
            home.start_agent()
            home.eventually(lambda: not client.status(public.digest).leases)
            before = tags()
            assert public.tag in before
            assert publishing.remove_old_tags(time.time()) == 0
            client.lease("another", [public.digest], 600)
            assert publishing.remove_old_tags(later) == 0
            client.lease("another", [], 600)
            tag("by-hand", public.tag)
            assert publishing.remove_old_tags(later) == 0
            assert tags() == before | {"by-hand"}
            tag("by-hand", *(before - {public.tag}))
            assert publishing.remove_old_tags(later) == 1
        assert tags() == before - {public.tag} | {"by-hand"}
        assert not ledger.publications.all()
    finally:
        ledger.close()
        registry.close()


def test_what_no_index_gives_out_goes_beside_and_is_never_published(way, python):
    with wheels.serving(wheels.Index()) as index:
        (site,) = python.parents[1].glob("lib/python3*/site-packages")
        (jinja,) = site.glob("jinja2-*.dist-info")
        index.add(wheels.wheel_of(site, jinja.name))  # but not markupsafe
        home = way.home({"far": way.reading()}, indexes=[index.url])
        first = submit(home, python, "here")
        told = result(home, first)
        home.eventually(lambda: publications(home)[0].is_handed_over)
        assert result(home, submit(home, python, "far", "second")) == told
        assert {path for path, _ in index.asked} >= {
            "/simple/jinja2/",
            "/simple/markupsafe/",
        }
    _, public = way.images_of(home, first)
    (done,) = publications(home)
    assert done.image == public.digest
    with way.house.client() as client:
        assert client.wait(done.there, 100).is_published
        assert not client.status(public.digest).is_published
    listed = home.run("images", "list").stderr
    assert f"{done.image[7:19]} (yours) is published as {done.there[7:19]}" in listed
    space = way.house.repository.namespace()
    names = {path.rpartition(b"/")[2] for path, _ in space.walk(b"/.flat")}
    assert b"environment.py" in names
    assert not any(b"_speedups" in name or b"MarkupSafe" in name for name in names)


IMPORT = "import jinja2; print(jinja2.Template('{{ 6 * 7 }}').render())"


def read_lazily(way, folder: Path, python: Path, image: str, token: Path) -> int:
    """Run a job on a cold site's lazy mount; return how many files the site fetched."""
    folder.mkdir()
    where = folder / "mounted"
    where.mkdir()
    reading = way.reading()
    report = {"url": way.house.publisher.url, "token": str(token)}
    settings = {k: reading[k] for k in ("fqrn", "urls", "proxies")} | {
        "master_keys": reading["keys"],
        "report": report,
    }
    (folder / "site.yaml").write_text(json.dumps(settings))
    command = [
        *(sys.executable, "-m", "offload.cache.reading.main"),
        *("--config", folder / "site.yaml", "--folder", folder / "cache"),
        *("mount", image, where),
    ]
    mount = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert "ready" in mount.stdout.readline()
        (packages,) = where.glob("env/lib/python3*/site-packages")
        done = subprocess.run(
            [python, "-IS", "-c", f"import sys; sys.path.append({str(packages)!r})\n{IMPORT}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == "42\n"
    finally:
        unmount(where)
        mount.wait(60)
        mount.stdout.close()
    content = folder / "cache" / reading["fqrn"] / "content"
    return sum(path.is_file() for path in content.rglob("*"))


def test_the_second_cold_site_starts_with_a_bundle_that_nobody_made(
    way, python, tmp_path
):
    home = way.home({})
    id_ = submit(home, python, "here")
    result(home, id_)
    visible(way, home, id_)
    _, public = way.images_of(home, id_)
    token = tmp_path / "site-token"
    token.write_text(site_token("cold", "of tokens"))
    token.chmod(0o600)
    first = read_lazily(way, tmp_path / "first", python, public.digest, token)
    hex_name = public.digest.removeprefix("sha256:").encode()
    assert way.house.repository.namespace().lookup(b"/.bundles/" + hex_name)
    second = read_lazily(way, tmp_path / "second", python, public.digest, token)
    assert second < first / 2
