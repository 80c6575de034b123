"""Finds what no event has told: asks registries what their names mean now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from facility.errors import FacilityError
from offload.cache.publishing.queue import Queue
from offload.cache.publishing.references import Reference, Wish
from offload.cache.publishing.sources import RegistrySource
from offload.cache.publishing.work import Entry, State

log = logging.getLogger("facility.publisher")


def repositories_of(
    host: str,
    named: Iterable[str],
    wishes: Iterable[Wish],
    entries: Iterable[Entry],
) -> list[str]:
    """Return which repositories of a registry are worth a look.

    Args:
        host: the registry.
        named: what the facility names.
        wishes: the wish list.
        entries: what is known: a repository that once told of a push counts.
    """
    found = dict.fromkeys(named)
    places = [(wish.registry, wish.repository) for wish in wishes]
    places += [(e.reference.registry, e.reference.repository) for e in entries]
    found.update(
        {repository: None for registry, repository in places if registry == host}
    )
    return sorted(found)


def worth_a_question(
    tags: Collection[str],
    known: Mapping[str, Entry],
    *,
    is_meant: Mapping[str, bool],
) -> tuple[list[str], list[str]]:
    """Sort the names of a repository: those to look at, and those to ask about first.

    Args:
        tags: what the registry has.
        known: by tag.
        is_meant: by tag, whether a new one is looked at; every one that is missing.

    Returns:
        Tags that are new or gone; and tags whose digest may have changed.
    """
    look = [tag for tag in tags if tag not in known and is_meant.get(tag, True)]
    maybe: list[str] = []
    for tag, entry in known.items():
        if entry.state is State.WAITING:
            continue
        if tag not in tags:
            if entry.state is not State.GONE:
                look.append(tag)
        elif not _is_fixed(entry):
            maybe.append(tag)
    return look, maybe


def _is_fixed(entry: Entry) -> bool:
    """Whether a tag holds the digest that it means: who pushes it cannot mean another."""
    return (
        entry.state is not State.GONE
        and entry.told is not None
        and entry.told.removeprefix("sha256:") in entry.reference.version
    )


class Poll:
    """Asks the registries; what has changed is put into the queue."""

    def __init__(
        self,
        queue: Queue,
        sources: Mapping[str, RegistrySource],
        named: Mapping[str, Sequence[str]],
        wishes: Sequence[Wish],
    ) -> None:
        self._queue = queue
        self._sources = sources
        self._named = named
        self._wishes = wishes

    def run(self, now: float) -> int:
        """Ask all registries; return how many names are looked at for it.

        A registry that is away is left for the next time.
        """
        entries = self._queue.entries()
        found: list[Reference] = []
        for host, source in self._sources.items():
            named = self._named.get(host, ())
            for repository in repositories_of(host, named, self._wishes, entries):
                try:
                    found += self._changed(host, repository, source, entries)
                except FacilityError as error:
                    log.warning("%s/%s cannot be asked: %s", host, repository, error)
        self._queue.ask(found, now)
        return len(found)

    def _changed(
        self,
        host: str,
        repository: str,
        source: RegistrySource,
        entries: Iterable[Entry],
    ) -> Iterator[Reference]:
        known = {
            entry.reference.version: entry
            for entry in entries
            if (entry.reference.registry, entry.reference.repository)
            == (host, repository)
            and not entry.reference.is_pinned
        }
        tags = set(source.tags(repository))
        # A repository that is only wished for is looked at for those tags alone.
        is_named = repository in self._named.get(host, ())
        is_meant = {
            tag: is_named
            or any(w.covers(Reference(host, repository, tag)) for w in self._wishes)
            for tag in tags
        }
        look, maybe = worth_a_question(tags, known, is_meant=is_meant)
        for tag in sorted(look):
            yield Reference(host, repository, tag)
        for tag in sorted(maybe):
            if source.digest(repository, tag) != known[tag].told:
                yield Reference(host, repository, tag)
