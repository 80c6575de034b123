"""A publisher put together from its settings, and what requests are answered from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from offload.cache.cvmfs import whitelist
from offload.cache.cvmfs.keys import Keys
from offload.cache.cvmfs.repository import Repository, Settings
from offload.cache.publishing.collection import Collector
from offload.cache.publishing.errors import PublishingError
from offload.cache.publishing.inbox import Inbox
from offload.cache.publishing.pins import Pins
from offload.cache.publishing.polling import Poll
from offload.cache.publishing.publisher import Publisher
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import INBOX, Wish
from offload.cache.publishing.reports import Reports
from offload.cache.publishing.settings import PublisherSettings
from offload.cache.publishing.shelf import Shelf
from offload.cache.publishing.sources import InboxSource, RegistrySource, Source
from offload.cache.publishing.statuses import Statuses
from offload.cache.publishing.worker import Worker
from offload.snapshot.store.local import LocalStore

_RENEW_S = 86400.0
_WAIT_S = 60.0


def repository_of(settings: PublisherSettings) -> Repository:
    """Open the repository.

    Raises:
        RepositoryError: there is none, or its keys are missing.
    """
    keys = Keys.load(settings.keys, settings.fqrn)
    return Repository(
        settings.folder, settings.fqrn, keys, Settings(level=settings.level)
    ).open()


def renew_whitelist(
    settings: PublisherSettings, repository: Repository, now: float
) -> None:
    """Sign the whitelist anew once a day, if the master key is here.

    Where it is not, whoever has it renews the whitelist.
    """
    master = settings.keys / f"{settings.fqrn}.masterkey"
    path = repository.public / whitelist.FILE_NAME
    is_fresh = path.exists() and now - path.stat().st_mtime < _RENEW_S
    if master.exists() and not is_fresh:
        repository.renew_whitelist(wait_s=_WAIT_S)


def secret_in(path: Path) -> str:
    """Read a secret.

    Raises:
        PublishingError: it cannot be read, or there is none in it.
    """
    try:
        secret = path.read_text().strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise PublishingError(f"{path}: cannot be read: {reason}") from None
    if not secret:
        raise PublishingError(f"{path}: expected a secret, the file is empty")
    return secret


@dataclass(frozen=True, slots=True)
class Desk:
    """One publisher."""

    settings: PublisherSettings
    shelf: Shelf
    queue: Queue
    inbox: Inbox
    pins: Pins
    statuses: Statuses
    collector: Collector
    reports: Reports
    worker: Worker
    registries: tuple[RegistrySource, ...]
    event_secret: str
    token_key: str

    @classmethod
    def of(cls, settings: PublisherSettings) -> Desk:
        """Open everything; nothing runs yet.

        Raises:
            FacilityError: repository, keys or secrets are not what they should be.
        """
        state = settings.state
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        shelf = Shelf(repository_of(settings), settings.architecture)
        queue = Queue(state / "queue.sqlite")
        pins = Pins(state / "pins.sqlite")
        store = LocalStore(state / "blobs")
        registries = {
            each.host: RegistrySource(each.url, each.credentials, each.ca)
            for each in settings.registries
        }
        wishes = [Wish.parse(text) for text in settings.wishes]
        sources: dict[str, Source] = {
            INBOX: InboxSource(store, shelf.manifest),
            **registries,
        }
        inbox = Inbox(store, state / "incoming", settings.inbox_bytes, shelf.has_layer)
        publisher = Publisher(
            shelf,
            queue,
            store,
            sources,
            wishes,
            settings.architecture,
            state,
            still=inbox.still,
        )
        named = {each.host: each.repositories for each in settings.registries}
        poll = Poll(queue, registries, named, wishes)
        collector = Collector(
            shelf,
            queue,
            pins,
            retention_s=settings.retention_s,
            grace_s=settings.grace_s,
            revisions=settings.revisions,
        )

        def look() -> None:
            now = time.time()
            renew_whitelist(settings, shelf.repository, now)
            poll.run(now)

        def tidy() -> None:
            now = time.time()
            collector.collect(now)
            inbox.drop_older(now - settings.grace_s, queue.waiting())

        worker = Worker(publisher, queue, look, tidy, settings.poll_s)
        return cls(
            settings,
            shelf,
            queue,
            inbox,
            pins,
            Statuses(shelf, queue, pins),
            collector,
            Reports(shelf, state / "traces"),
            worker,
            tuple(registries.values()),
            secret_in(settings.event_secret),
            secret_in(settings.token_key),
        )

    def close(self) -> None:
        """Close files and connections; the worker has ended."""
        for registry in self.registries:
            registry.close()
        self.queue.close()
        self.pins.close()
