"""Freezes what a request means into a store: the one way in.

Nothing is known to the store as an image before all of it is there. After ``kill -9`` at
any moment the store holds what it held, and perhaps layers that the next freeze uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from offload.snapshot.errors import DamagedError, MissingError, SelectionError
from offload.snapshot.images.garbage import drop_unused
from offload.snapshot.images.image import MAX_LAYERS, read_image, write_image
from offload.snapshot.images.manifests import write_trees
from offload.snapshot.layers.packing import (
    Pack,
)
from offload.snapshot.layers.workers import Workers
from offload.snapshot.model import CODE, Part, Request, Snapshot, identity
from offload.snapshot.parts import Begun, Finished, Made, Parts, folder_of
from offload.snapshot.progress import Meter, Report
from offload.snapshot.secrets.finding import Finding, SecretsFoundError
from offload.snapshot.secrets.inspection import refused
from offload.snapshot.sources import Source, Sources, find_sources
from offload.snapshot.store.cache import Cache
from offload.snapshot.store.local import LocalStore

_MORE_WHEN_CUT_AGAIN = 8
"""Layers that a part may have more once what was modified has left the public ones."""


def freeze(
    request: Request, store: LocalStore, *, progress: Report | None = None
) -> Snapshot:
    """Freeze a working folder, its environment and inputs, as they are now.

    Every file in it is one state that did exist. If nothing has changed since the last
    time, the snapshot is that one.

    Raises:
        SelectionError: there is nothing of that kind, or far too much.
        EnvironmentCutError: the environment cannot travel.
        UnreadableError: a file may not be read.
        ChangingError: a file changed each time it was read.
        SecretsFoundError: it holds secrets that nobody allowed.
        NoSpaceError: the disk of the store is full.
    """
    report = progress or (lambda _: None)
    meter = Meter()
    report(meter.now("looking"))
    sources = find_sources(request)
    try:
        with (
            store.in_use(),
            Cache(store.cache_path) as cache,
            Workers(store, meter, lambda: report(meter.now("reading"))) as workers,
        ):
            parts = Parts(store, cache, meter)
            made = _make_parts(sources.parts, parts, workers)
            report(meter.now("storing"))
            finished = [parts.finish(part) for part in made]
            run = _Freeze(store, cache)
            run.check_secrets(finished, request.allow)
            snapshot = run.store_image(sources, finished)
    except _RefusedError as refused:
        # No copy of a secret waits in the store for the next clean-up.
        drop_unused(store, refused.layers)
        raise SecretsFoundError(refused.findings) from None
    report(meter.now("done"))
    return snapshot


def _make_parts(
    sources: Sequence[Source], parts: Parts, workers: Workers
) -> list[Made]:
    def make(begun: Sequence[Begun]) -> list[Made]:
        wanted = [pack for part in begun for pack in part.packs]
        made = iter(workers.run([p for p in wanted if isinstance(p, Pack)]))
        return [parts.take(part, made) for part in begun]

    cut = {source.role: parts.begin(source) for source in sources if source.groups}
    layers = sum(len(part.packs) for part in cut.values())
    share = _share_layers(layers, len(sources) - len(cut))
    made = make([cut.get(s.role) or parts.begin(s, share) for s in sources])
    # What was modified is not an index's: it leaves the layers that are.
    modified = {part.begun.source.role: part.modified() for part in made}
    again = {
        part.begun.source.role: part
        for part in make(
            [
                parts.begin(source, modified=modified[source.role])
                for source in sources
                if modified[source.role]
            ]
        )
    }
    return [again.get(part.begun.source.role, part) for part in made]


class _RefusedError(Exception):
    """Parts hold secrets.

    Args:
        findings: which.
        layers: digests of those parts' layers.
    """

    def __init__(self, findings: Sequence[Finding], layers: Sequence[str]) -> None:
        super().__init__()
        self.findings = findings
        self.layers = layers


@dataclass(frozen=True, slots=True)
class _Freeze:
    """What is done once all parts are there."""

    store: LocalStore
    cache: Cache

    def check_secrets(self, finished: Sequence[Finished], allow: Sequence[str]) -> None:
        """Refuse what would take secrets along."""
        suspects = self.cache.suspects()
        found: list[Finding] = []
        layers: list[str] = []
        for each in finished:
            part = each.part
            findings = refused(each.tree, part.mount, suspects, allow)
            if findings:
                layers += part.layers
            found += (
                # Only of the code, the person knows what its paths are relative to.
                finding
                if part.role == CODE
                else replace(finding, path=_full(part, finding))
                for finding in findings
            )
        if found:
            raise _RefusedError(found, layers)

    def store_image(self, sources: Sources, finished: Sequence[Finished]) -> Snapshot:
        """Make the image known; return the one there is if it is the same."""
        parts = tuple(each.part for each in finished)
        snapshot = Snapshot(
            id=identity(parts, sources.base),
            image="",
            parts=parts,
            base=sources.base,
            environment=sources.environment,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            warnings=(
                *sources.warnings,
                *(warning for each in finished for warning in each.warnings),
            ),
        )
        layers = [layer for each in finished for layer in each.layers]
        public = frozenset(layer.digest for layer in layers if layer.is_public)
        same = self._same(snapshot, sources.parts[0], public)
        if same is not None:
            # Young again: it is not collected before its job is recorded.
            os.utime(self.store.blob_path(same.image))
            return same
        trees = {each.part.role: each.tree for each in finished}
        layers.append(write_trees(self.store, trees))
        snapshot = write_image(self.store, snapshot, layers)
        self.cache.remember(
            latest=[
                (folder_of(source), snapshot.image, each.tree.entries, each.seen)
                for source, each in zip(sources.parts, finished, strict=True)
            ]
        )
        return snapshot

    def _same(
        self, snapshot: Snapshot, code: Source, public: frozenset[str]
    ) -> Snapshot | None:
        digest, _ = self.cache.latest(folder_of(code))
        if digest is None:
            return None
        try:
            last = read_image(self.store, digest)
        except (MissingError, DamagedError):
            return None
        same = replace(snapshot, image=digest, created=last.snapshot.created)
        is_whole = all(self.store.has(blob.digest) for blob in last.blobs)
        is_as_public = public == frozenset(x.digest for x in last.layers if x.is_public)
        is_same = is_whole and is_as_public and same == last.snapshot
        return last.snapshot if is_same else None


def _full(part: Part, finding: Finding) -> bytes:
    mount = os.fsencode(part.mount)
    return mount + b"/" + finding.path if part.file is None else mount


def _share_layers(grouped: int, chains: int) -> int:
    """Return how many layers each part may have that is not cut into groups.

    Args:
        grouped: layers of the other parts.
        chains: how many parts share what is left.
    """
    # One is of the manifests.
    left = MAX_LAYERS - 1 - _MORE_WHEN_CUT_AGAIN - grouped
    if left < chains:
        raise SelectionError(
            f"{chains - 1} inputs: expected at most {left - 1} files and folders; name "
            "the folder that they are in"
        )
    return left // chains
