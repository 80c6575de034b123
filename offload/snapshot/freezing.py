"""Freezes what a request means into a store: the one way in.

Nothing is known to the store as an image before all of it is there. After ``kill -9`` at
any moment the store holds what it held, and perhaps layers that the next freeze uses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from offload.snapshot.errors import DamagedError, MissingError, SelectionError
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.survey import survey
from offload.snapshot.images.image import MAX_LAYERS, read_image, write_image
from offload.snapshot.images.manifests import read_trees, write_trees
from offload.snapshot.layers.packer import Packed, pack_layer
from offload.snapshot.layers.packing import (
    Chain,
    Pack,
    Plan,
    content_key,
    known_entry,
    plan_chain,
    plan_groups,
    removals,
)
from offload.snapshot.layers.workers import Workers
from offload.snapshot.model import CODE, Layer, Part, Request, Snapshot, identity
from offload.snapshot.progress import Meter, Report
from offload.snapshot.secrets.finding import Finding, SecretsFoundError
from offload.snapshot.secrets.inspection import refused
from offload.snapshot.sources import Source, Sources, find_sources
from offload.snapshot.store.cache import Cache
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind, Tree


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
    max_layers = _share_layers(sources.parts)
    with (
        store.in_use(),
        Cache(store.cache_path) as cache,
        Workers(store, meter, lambda: report(meter.now("reading"))) as workers,
    ):
        run = _Freeze(store, cache, meter)
        begun = [run.begin(source, max_layers) for source in sources.parts]
        wanted = [pack for part in begun for pack in part.packs]
        made = iter(workers.run([each for each in wanted if isinstance(each, Pack)]))
        report(meter.now("storing"))
        finished = [run.finish(part, made) for part in begun]
        run.check_secrets(finished, request.allow)
        snapshot = run.store_image(sources, finished)
    report(meter.now("done"))
    return snapshot


@dataclass(frozen=True, slots=True)
class _Last:
    """A part as it was frozen last, if its layers can be built upon."""

    chain: Chain
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A part that was looked at and planned."""

    source: Source
    plan: Plan
    last: _Last | None
    """None if no layer of it is kept."""
    packs: tuple[Packed | Pack, ...]
    """Those that were made before, and those to be made."""
    warnings: tuple[str, ...]
    seen: dict[bytes, Fingerprint]
    """By path, what files were like whose content was known."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A part whose layers are in the store."""

    part: Part
    tree: Tree
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    seen: Mapping[bytes, Fingerprint]
    """By path, what files were like; none of a part that is cut into groups."""


@dataclass(frozen=True, slots=True)
class _Freeze:
    """The steps of one freeze."""

    store: LocalStore
    cache: Cache
    meter: Meter

    def begin(self, source: Source, max_layers: int) -> _Begun:
        """Look at a part and plan it."""
        seen = survey(source.root, source.paths)
        last = None if source.groups else self._last(source)
        before = {} if last is None else last.chain.seen
        files = {o.path: o.fingerprint for o in seen.found if o.kind is Kind.FILE}
        others = [now for path, now in files.items() if before.get(path) != now]
        known = self.cache.contents(others)
        if source.groups:
            plan = plan_groups(
                source.role,
                source.root,
                seen.found,
                source.groups,
            )
        else:
            plan = plan_chain(
                source.role,
                source.root,
                seen.found,
                known,
                None if last is None else last.chain,
                max_layers=max_layers,
            )
        if last is not None and not plan.keeps_layers:
            known |= last.chain.known()
        unknown = set(others) - known.keys()
        return _Begun(
            source,
            plan,
            last if plan.keeps_layers else None,
            tuple(self._made_before(pack, known) or pack for pack in plan.packs),
            # Links of an environment lead to the host by design.
            () if source.groups else seen.warnings,
            {path: now for path, now in files.items() if now not in unknown}
            if unknown and not source.groups
            else files,
        )

    def finish(self, begun: _Begun, made: Iterator[Packed]) -> _Finished:
        """Take the layers of a part together, those that were to be made from ``made``."""
        source, plan, last = begun.source, begun.plan, begun.last
        packs = [next(made) if isinstance(pack, Pack) else pack for pack in begun.packs]
        # Folders are in the layer of each group that has something in them.
        entries = {entry.path: entry for entry in plan.kept}
        entries |= {entry.path: entry for pack in packs for entry in pack.entries}
        tree = Tree.of(entries.values())
        if last is not None:
            # What went away between the look and the reading.
            marked = {path for pack in plan.packs for path in pack.removed}
            now = {path: entry.kind for path, entry in entries.items()}
            gone = set(removals(last.chain.tree, now)) - marked
            if gone:
                late = Pack(source.role, source.root, (), removed=tuple(sorted(gone)))
                packs.append(pack_layer(self.store, late, self.meter, lambda: False))
        self.cache.remember(
            contents=[
                (fingerprint, entry.sha256)
                for pack in packs
                for fingerprint, entry in pack.contents
            ],
            layers=[(p.content, p.layer) for p in packs if p.layer is not None],
            suspects=[suspect for pack in packs for suspect in pack.suspects],
        )
        layers = (
            *(() if last is None else last.layers),
            *(pack.layer for pack in packs if pack.layer is not None),
        )
        part = Part(
            role=source.role,
            mount=source.mount,
            tree=tree.digest,
            files=tree.files,
            size=tree.size,
            layers=tuple(layer.digest for layer in layers),
            packed=(0 if last is None else last.chain.packed)
            + sum(pack.size for pack in packs),
            file=source.file,
        )
        return _Finished(
            part,
            tree,
            layers,
            begun.warnings,
            begun.seen
            | {
                entry.path: fingerprint
                for pack in packs
                for fingerprint, entry in pack.contents
            },
        )

    def check_secrets(
        self, finished: Sequence[_Finished], allow: Sequence[str]
    ) -> None:
        """Refuse what would take secrets along."""
        suspects = self.cache.suspects()
        found = [
            # Only of the code, the person knows what its paths are relative to.
            finding
            if part.role == CODE
            else replace(finding, path=_full(part, finding))
            for part, tree in ((each.part, each.tree) for each in finished)
            for finding in refused(tree, part.mount, suspects, allow)
        ]
        if found:
            raise SecretsFoundError(found)

    def store_image(self, sources: Sources, finished: Sequence[_Finished]) -> Snapshot:
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
        same = self._same(snapshot, sources.parts[0])
        if same is not None:
            # Young again: it is not collected before its job is recorded.
            os.utime(self.store.blob_path(same.image))
            return same
        trees = {each.part.role: each.tree for each in finished}
        layers = [layer for each in finished for layer in each.layers]
        layers.append(write_trees(self.store, trees))
        snapshot = write_image(self.store, snapshot, layers)
        self.cache.remember(
            latest=[
                (_folder(source), snapshot.image, each.tree.entries, each.seen)
                for source, each in zip(sources.parts, finished, strict=True)
            ]
        )
        return snapshot

    def _made_before(
        self, pack: Pack, known: Mapping[Fingerprint, str]
    ) -> Packed | None:
        """Return what a pack was made into before, if nothing of it need be read."""
        if pack.below:
            return None
        entries: list[Entry] = []
        for one in pack.found:
            entry = known_entry(one, known)
            if entry is None:
                return None
            entries.append(entry)
        content = content_key(pack.role, entries)
        layer = self.cache.layer(content)
        if layer is None or not self.store.has(layer.digest):
            return None
        return Packed(layer, content, entries, pack.size)

    def _last(self, source: Source) -> _Last | None:
        digest, seen = self.cache.latest(_folder(source))
        if digest is None:
            return None
        try:
            image = read_image(self.store, digest)
            part = image.snapshot.part(source.role)
            if part is None or not all(self.store.has(each) for each in part.layers):
                return None
            tree = read_trees(self.store, image)[source.role]
        except (MissingError, DamagedError):  # collected, or damaged: packed again
            return None
        by_digest = {layer.digest: layer for layer in image.layers}
        chain = Chain(
            tree,
            len(part.layers),
            part.packed,
            {
                entry.path: fingerprint
                for entry, fingerprint in zip(tree.entries, seen, strict=False)
            },
        )
        return _Last(chain, tuple(by_digest[each] for each in part.layers))

    def _same(self, snapshot: Snapshot, code: Source) -> Snapshot | None:
        digest, _ = self.cache.latest(_folder(code))
        if digest is None:
            return None
        try:
            last = read_image(self.store, digest)
        except (MissingError, DamagedError):
            return None
        same = replace(snapshot, image=digest, created=last.snapshot.created)
        is_whole = all(self.store.has(blob.digest) for blob in last.blobs)
        return last.snapshot if is_whole and same == last.snapshot else None


def _full(part: Part, finding: Finding) -> bytes:
    mount = os.fsencode(part.mount)
    return mount + b"/" + finding.path if part.file is None else mount


def _folder(source: Source) -> bytes:
    return os.fsencode(f"{source.role}\0{source.mount}")


def _share_layers(parts: Sequence[Source]) -> int:
    """Return how many layers each part may have that is not cut into groups."""
    grouped = sum(len(part.groups) for part in parts)
    chains = sum(not part.groups for part in parts)
    share = (MAX_LAYERS - 1 - grouped) // chains
    if share < 1:
        raise SelectionError(
            f"{chains - 1} inputs: expected at most {MAX_LAYERS - 2 - grouped} files and "
            "folders; name the folder that they are in"
        )
    return share
