"""A repository behind a real squid, and sites that read it."""

import contextlib
import hashlib
import random
from datetime import UTC, datetime

import pytest

from offload.cache.cvmfs.items import Item
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository
from offload.cache.reading import RepositoryCache, RepositorySettings
from offload.snapshot.tree import Kind
from tests.engines.sitecache import engines

FQRN = "environments.example.org"
FILES = 400


def digest(name):
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def environment(seed):
    """Return the items of an environment: many small files, some large, links."""
    rng = random.Random(seed)
    yield Item(b"", Kind.FOLDER, 0o755, mtime=1_700_000_000)
    yield Item(b"env", Kind.FOLDER, 0o755, mtime=1_700_000_001)
    for number in range(20):
        yield Item(b"env/p%02d" % number, Kind.FOLDER, 0o755, mtime=1_700_000_002)
    for number in range(FILES):
        data = rng.randbytes(rng.randrange(1, 200)) * rng.randrange(1, 200)
        path = b"env/p%02d/m%03d.py" % (number % 20, number)
        yield Item(path, Kind.FILE, 0o644, len(data), 1_700_000_003, content=data)
    for number in range(2):
        data = rng.randbytes(1 << 16) * 150
        path = b"env/lib%d.so" % number
        yield Item(path, Kind.FILE, 0o755, len(data), 1_700_000_004, content=data)
    yield Item(b"env/lib.so", Kind.LINK, 0o777, target=b"lib0.so")


SMALL = (
    Item(b"", Kind.FOLDER, 0o755),
    Item(b"run.py", Kind.FILE, 0o644, 5, content=b"run()"),
)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A repository with the images ``one``, ``two`` and ``small``."""
    folder = tmp_path_factory.mktemp("published")
    keys = Keys.generate(FQRN, datetime.now(UTC))
    repository = Repository(folder / "repository", FQRN, keys).create()
    with repository.transaction() as transaction:
        images = {"one": environment("one"), "two": environment("two"), "small": SMALL}
        for name, items in images.items():
            hexed = digest(name)[7:]
            transaction.put_tree(f"/.flat/{hexed[:2]}/{hexed}".encode(), items)
        transaction.commit()
    (folder / "master.pub").write_bytes(keys.master.public)
    return repository, folder / "master.pub", keys


@pytest.fixture
def origin(published):
    origin = engines.Origin(published[0].public)
    yield origin
    origin.close()


@pytest.fixture
def squid(tmp_path):
    if engines.SQUID is None:
        pytest.fail("squid is missing: run .ci/system-packages")
    with engines.squid(tmp_path / "squid") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def settings(origin, squid, published):
    return RepositorySettings(
        fqrn=FQRN,
        urls=(origin.url,),
        proxies=(squid,),
        master_keys=(published[1],),
        refresh_s=0,
    )


@pytest.fixture
def make_cache(tmp_path, settings):
    with contextlib.ExitStack() as stack:

        def make(name, **changes):
            changed = settings.model_copy(update=changes)
            return stack.enter_context(RepositoryCache(tmp_path / name, changed))

        yield make


@pytest.fixture(scope="session")
def items():
    """What the image ``one`` was published from."""
    return tuple(environment("one"))


@pytest.fixture(scope="session")
def expected(items):
    """Path and content of each file of the image ``one``."""
    return {i.path.decode(): i.content for i in items if i.kind is Kind.FILE}


@pytest.fixture(scope="session")
def image():
    """The digest of the image ``one``."""
    return digest("one")


@pytest.fixture(scope="session")
def other():
    """The digest of another image of that size."""
    return digest("two")


@pytest.fixture(scope="session")
def small():
    """The digest of an image of a few bytes."""
    return digest("small")


@pytest.fixture
def contents():
    def read(top):
        return {
            str(path.relative_to(top)): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    return read
