"""From a package index to the cache: whole verified files, or one clear line."""

import hashlib
import http.server
import io
import ipaddress
import os
import ssl
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from facility.errors import FacilityError, UsageError
from facility.samples import Experiment, Kind, Package, Sample, cache, ensure, fetch
from facility.samples import index as samples_index
from facility.samples.fetching import is_cached, location

CONTENT = {"a.root": b"root" + b"a" * 5000, "b.root": b"root" + b"b" * 300}


def wheel():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in CONTENT.items():
            archive.writestr(f"demo/data/{name}", data)
        archive.writestr("demo/data/unwanted.root", b"not registered")
    return buffer.getvalue()


def sdist():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(f"demo-1.0/demo/data/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ARCHIVES = {
    "demo-1.0-py3-none-any.whl": (wheel(), ""),
    "demo-1.0.tar.gz": (sdist(), "demo-1.0/"),
}


def samples_of(filename, **changes):
    data, root = ARCHIVES[filename]
    package = {
        "project": "demo",
        "version": "1.0",
        "filename": filename,
        "sha256": hashlib.sha256(data).hexdigest(),
        "root": root,
        "licence": "none",
    }
    package |= {k: v for k, v in changes.items() if k in package}
    return [
        Sample(
            name=name,
            package=Package(**package),
            member=changes.get("member", f"demo/data/{name}"),
            sha256=changes.get("member_sha256", hashlib.sha256(content).hexdigest()),
            size_bytes=len(content),
            kind=Kind.SIMULATION,
            experiment=Experiment.CMS,
            title="simulated",
            citation="none",
        )
        for name, content in CONTENT.items()
    ]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    # Whoever has a proxy: not for the loopback.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path, monkeypatch, home):
    """A package index on the loopback, in the simple form (PEP 503)."""
    folder = tmp_path / "index" / "simple" / "demo"
    folder.mkdir(parents=True)
    for name, (data, _) in ARCHIVES.items():
        (folder / name).write_bytes(data)
    links = "".join(f'<a href="{name}">{name}</a>' for name in ARCHIVES)
    (folder / "index.html").write_text(f"<!DOCTYPE html><body>{links}</body>")
    handler = partial(Quiet, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv(
        "PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/"
    )
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def files_below(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("filename", ARCHIVES)
def test_only_registered_members_are_kept(index, home, filename):
    wanted = samples_of(filename)
    paths = fetch(wanted)
    assert [p.read_bytes() for p in paths] == list(CONTENT.values())
    assert paths[0].parent.name == wanted[0].sha256
    assert home in paths[0].parents
    assert files_below(home) == ["a.root", "b.root"]


def test_what_is_cached_is_not_fetched_again(index, home, monkeypatch):
    [one, two] = samples_of("demo-1.0.tar.gz")
    fetch([one])
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    assert ensure([one]) == [location(one)]
    assert not is_cached(two)


def test_a_shortened_file_in_the_cache_is_fetched_again(index, home):
    [one, _] = samples_of("demo-1.0.tar.gz")
    [path] = fetch([one])
    path.write_bytes(b"root")
    assert not is_cached(one)
    assert ensure([one])[0].read_bytes() == CONTENT["a.root"]


def test_several_processes_may_fetch_at_once(index, home):
    wanted = samples_of("demo-1.0.tar.gz")
    with ThreadPoolExecutor(8) as pool:
        for paths in pool.map(lambda _: fetch(wanted), range(16)):
            assert [p.read_bytes() for p in paths] == list(CONTENT.values())
    assert files_below(home) == ["a.root", "b.root"]


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_other_variables_name_the_index_too(index, home, monkeypatch, variable):
    monkeypatch.setenv(variable, os.environ["PIP_INDEX_URL"])
    monkeypatch.delenv("PIP_INDEX_URL")
    assert len(fetch(samples_of("demo-1.0.tar.gz"))) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "expected 0000000000000000"),
        ({"member_sha256": "1" * 64}, "sample a.root.*expected 1111111111111111"),
        ({"member": "demo/data/c.root"}, "has no file demo-1.0/demo/data/c.root"),
    ],
)
def test_other_bytes_are_refused_and_not_kept(index, home, changes, message):
    with pytest.raises(FacilityError, match=message) as caught:
        fetch(samples_of("demo-1.0.tar.gz", **changes))
    assert "\n" not in str(caught.value)
    assert files_below(home) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project": "another"}, "no project another"),
        ({"filename": "demo-2.0.tar.gz"}, r"has demo, but not demo-2.0.tar.gz"),
    ],
)
def test_a_release_that_is_not_on_the_index(index, home, changes, message):
    [one, _] = samples_of("demo-1.0.tar.gz")
    elsewhere = replace(one, package=replace(one.package, **changes))
    with pytest.raises(UsageError, match=message):
        fetch([elsewhere])


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("authority") / "both.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(signed.public_bytes(pem) + private)
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_whom_the_machine_trusts_may_be_the_index(
    index, home, monkeypatch, authority, trusted
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    handler = partial(Quiet, directory=str(index.parents[1]))
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"https://127.0.0.1:{server.server_port}/simple/"
    monkeypatch.setenv("PIP_INDEX_URL", url)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    if trusted:
        monkeypatch.setattr(samples_index, "SYSTEM_AUTHORITIES", authority)
    try:
        if trusted:
            assert len(fetch(samples_of("demo-1.0.tar.gz"))) == 2
        else:
            with pytest.raises(UsageError, match="certificate is not trusted"):
                fetch(samples_of("demo-1.0.tar.gz"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_no_network(home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(UsageError, match="no connection to the package index") as got:
        fetch(samples_of("demo-1.0.tar.gz"))
    assert got.value.exit_code == 2
    assert "\n" not in str(got.value)


def test_an_index_that_breaks_off(index, home):
    (index / "demo-1.0.tar.gz").unlink()
    with pytest.raises(UsageError, match="the index answered 404"):
        fetch(samples_of("demo-1.0.tar.gz"))
    assert files_below(home) == []


def test_a_full_disk_is_said_before_anything_is_fetched(home, monkeypatch):
    monkeypatch.setattr(
        cache.shutil, "disk_usage", lambda _: SimpleNamespace(free=5 * 2**20)
    )
    with pytest.raises(UsageError, match="full: 5 MiB free, 159 MiB needed"):
        fetch(samples_of("demo-1.0.tar.gz"))
    assert not home.exists()


@pytest.mark.parametrize(
    "step",
    ["pypi_simple.PyPISimple.download_package", "facility.samples.fetching._verify"],
)
def test_a_disk_that_fills_up_on_the_way(index, home, monkeypatch, step):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(UsageError, match=r"No space left on device; free some") as got:
        fetch(samples_of("demo-1.0.tar.gz"))
    assert "\n" not in str(got.value)
    assert files_below(home) == []


def test_a_cache_that_cannot_be_made(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cannot write .*Not a directory"):
        fetch(samples_of("demo-1.0.tar.gz"))


def test_what_a_killed_fetch_left_goes_after_a_day(index, home):
    below = home / "analysis-facility" / "samples"
    old, new = below / ".fetch-old", below / ".fetch-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half.whl").write_bytes(b"half")
    os.utime(old, (0, 0))
    fetch(samples_of("demo-1.0.tar.gz"))
    assert not old.exists()
    assert new.exists()


@pytest.mark.engines
def test_the_real_packages_have_the_registered_files(home):
    for path in fetch():
        assert path.is_file()
