"""One part of a snapshot: looked at, planned, and put together from its layers."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from offload.snapshot.cuts import Group
from offload.snapshot.environments.bins import bin_groups
from offload.snapshot.errors import DamagedError, MissingError
from offload.snapshot.files.fingerprint import Fingerprint
from offload.snapshot.files.survey import Found, survey
from offload.snapshot.images.image import read_image
from offload.snapshot.images.manifests import read_trees
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
from offload.snapshot.layers.published import contents_of, differing, is_open
from offload.snapshot.model import Layer, Part
from offload.snapshot.progress import Meter
from offload.snapshot.sources import Source
from offload.snapshot.store.cache import Cache
from offload.snapshot.store.local import LocalStore
from offload.snapshot.tree import Entry, Kind, Tree


@dataclass(frozen=True, slots=True)
class _Last:
    """A part as it was frozen last, if its layers can be built upon."""

    chain: Chain
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Begun:
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
class Made:
    """A part whose layers were made."""

    begun: Begun
    packs: Sequence[Packed]

    def modified(self) -> set[bytes]:
        """Return what was taken for an index's until it was read, and is not."""
        found: set[bytes] = set()
        for planned, pack in zip(self.begun.plan.packs, self.packs, strict=True):
            if planned.published and pack.layer and not pack.layer.is_public:
                found |= differing(contents_of(pack.entries), planned.published)
        return found


@dataclass(frozen=True, slots=True)
class Finished:
    """A part whose layers are in the store."""

    part: Part
    tree: Tree
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    seen: Mapping[bytes, Fingerprint]
    """By path, what files were like; none of a part that is cut into groups."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The steps that each part of one freeze goes through."""

    store: LocalStore
    cache: Cache
    meter: Meter

    def begin(
        self,
        source: Source,
        max_layers: int = 0,
        modified: Collection[bytes] = frozenset(),
    ) -> Begun:
        """Look at a part and plan it.

        Args:
            source: which.
            max_layers: how many it may have, if it is not cut into groups.
            modified: paths that were found not to hold what an index gave out.
        """
        seen = survey(source.root, source.paths)
        last = None if source.groups else self._last(source)
        before = {} if last is None else last.chain.seen
        files = {o.path: o.fingerprint for o in seen.found if o.kind is Kind.FILE}
        others = [now for path, now in files.items() if before.get(path) != now]
        known = self.cache.contents(others)
        if source.groups:
            groups = bin_groups(
                _without_modified(source.groups, seen.found, known, modified),
                lambda path: files[path].size if path in files else 0,
                source.most_of_their_own,
            )
            plan = plan_groups(source.role, source.root, seen.found, groups)
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
        return Begun(
            source,
            plan,
            last if plan.keeps_layers else None,
            tuple(self._made_before(pack, known) or pack for pack in plan.packs),
            # Links of an environment lead to the host by design.
            () if source.groups else seen.warnings,
            {}
            if source.groups
            else {path: now for path, now in files.items() if now not in unknown},
        )

    def take(self, begun: Begun, made: Iterator[Packed]) -> Made:
        """Put a part's layers together, those that were to be made from ``made``."""
        packs = [next(made) if isinstance(pack, Pack) else pack for pack in begun.packs]
        return Made(begun, packs)

    def finish(self, made: Made) -> Finished:
        """Make a part of its layers."""
        begun, packs = made.begun, [*made.packs]
        source, plan, last = begun.source, begun.plan, begun.last
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
        return Finished(
            part,
            tree,
            layers,
            begun.warnings,
            {}
            if source.groups
            else begun.seen
            | {
                entry.path: fingerprint
                for pack in packs
                for fingerprint, entry in pack.contents
            },
        )

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
        # What was known was compared when the part was looked at.
        layer = replace(layer, is_public=bool(pack.published))
        return Packed(layer, content, entries, pack.size)

    def _last(self, source: Source) -> _Last | None:
        digest, seen = self.cache.latest(folder_of(source))
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


def _without_modified(
    groups: Iterable[Group],
    found: Iterable[Found],
    known: Mapping[Fingerprint, str],
    modified: Collection[bytes],
) -> list[Group]:
    """Return the groups, those not public that are known to hold something else."""
    contents: dict[bytes, str] = {}
    closed: list[bytes] = []
    for path, kind, fingerprint, _ in found:
        if not is_open(kind, fingerprint.mode):
            contents[path] = ""
            if kind is Kind.FOLDER:
                closed.append(path + b"/" if path else b"")
        elif kind is Kind.LINK:
            contents[path] = ""
        elif fingerprint in known:
            contents[path] = known[fingerprint]
    judged = []
    for group in groups:
        paths = group.published
        of_group = {path: contents[path] for path in paths if path in contents}
        if (
            not paths.keys().isdisjoint(modified)
            or (closed and any(path.startswith(tuple(closed)) for path in paths))
            or differing(of_group, paths)
        ):
            judged.append(replace(group, published={}))
        else:
            judged.append(group)
    return judged


def folder_of(source: Source) -> bytes:
    """Return the name under which the cache knows the last image of a part."""
    return os.fsencode(f"{source.role}\0{source.mount}")
