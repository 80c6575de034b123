"""The whole way of environments: registry, publisher, squid, and homes with sites."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from offload.cache.publishing.tokens import token_of
from offload.jobs.ledger import Ledger
from offload.jobs.settings import Settings
from offload.snapshot import LocalStore
from offload.snapshot.images.image import Image, read_image
from offload.snapshot.images.public import PublicImage, public_image
from tests.engines.offload.home import Home
from tests.engines.publishing.house import House
from tests.engines.slurm.cluster import SlurmCluster
from tests.environment import wheel_server as wheels


@contextlib.contextmanager
def index_of(python: Path) -> Iterator[wheels.Index]:
    """Serve the public index that an environment's distributions are from."""
    (site,) = python.parents[1].glob("lib/python3*/site-packages")
    with wheels.serving(wheels.Index()) as index:
        for info in site.glob("*.dist-info"):
            index.add(wheels.wheel_of(site, info.name))
        yield index


class Way:
    """All of it: registry, publisher, squid, and a home with sites."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        house: House,
        squid: int,
        index: wheels.Index,
    ) -> None:
        self._stack = stack
        self.index = index
        self.house = house
        self.fqrn = house.settings.fqrn
        self.squid = squid
        self.token = house.folder / "token"
        self.token.write_text(token_of("root", "of tokens"))
        self.token.chmod(0o600)
        self.key = house.settings.keys / f"{self.fqrn}.pub"

    def reading(self, **changes: Any) -> dict[str, Any]:
        """Return how a site reads the repository."""
        url = f"{self.house.publisher.url}/cvmfs/{self.fqrn}"
        return {
            "fqrn": self.fqrn,
            "urls": [url],
            "proxies": [f"http://127.0.0.1:{self.squid}"],
            "keys": [str(self.key)],
        } | changes

    @staticmethod
    def images_of(home: Home, id_: str) -> tuple[Image, PublicImage | None]:
        """Return the image of a job's snapshot, and what of it is public."""
        settings = Settings.load(home.settings)
        ledger = Ledger(settings.ledger)
        try:
            job = ledger.job(int(id_))
        finally:
            ledger.close()
        image = read_image(LocalStore(settings.snapshots), job.image)
        return image, public_image(image)

    def home(self, sites: Mapping[str, Mapping[str, Any]], **options: Any) -> Home:
        """Start a home that is there to the end; see :meth:`new_home`."""
        return self._stack.enter_context(self.new_home(sites, **options))

    def new_home(
        self,
        sites: Mapping[str, Mapping[str, Any]],
        *,
        slurm: SlurmCluster | None = None,
        registry: bool = True,
        indexes: Sequence[str] | None = None,
    ) -> Home:
        """Return a home with sites on this machine, each with its repository."""
        store = f"http://{self.house.host}/people/environments" if registry else None
        declared = [
            {
                "name": name,
                "kind": "process" if slurm is None else "slurm",
                "repository": repository,
            }
            for name, repository in sites.items()
        ]
        return Home(
            slurm,
            store=store,
            sites=declared,
            settings={
                "publisher": self.house.publisher.url,
                "publisher_token": str(self.token),
                "public_store": store,
                "public_indexes": indexes or [self.index.url],
                "repository": self.fqrn,
            },
        )
