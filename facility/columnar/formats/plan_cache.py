"""Plans of files that were opened before: in this process, and in a private folder.

A plan is found by the file's identity: one that was written again, or touched, has
another. Entries that are damaged or gone are as if the file were new.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from functools import partial

from facility.columnar.baskets.store import read_entry, read_part, write_entry
from facility.columnar.formats.base import FileIdentity
from facility.columnar.formats.plans import FORMAT, FilePlan

KEPT = 64
"""Plans in memory: 0.1 MB for NanoAOD."""

KIND = "plans"
"""Of entries in the cache folder; or the path of another folder."""
_BODY = "{}-baskets"

_kept: OrderedDict[tuple[FileIdentity, str], FilePlan] = OrderedDict()
_lock = threading.Lock()


def find_plan(identity: FileIdentity, asked: str) -> FilePlan | None:
    """Return the plan of a file, and of the tree that was asked for by this name."""
    with _lock:
        plan = _kept.get((identity, asked))
        if plan is not None:
            _kept.move_to_end((identity, asked))
            return plan
    name = _name(identity, asked)
    index = read_entry(KIND, name)
    if index is None:
        return None
    try:
        plan = FilePlan(index, partial(read_part, KIND, _BODY.format(name)))
    except ValueError:
        return None
    _keep(identity, asked, plan)
    return plan


def keep_plan(
    identity: FileIdentity, asked: str, index: bytes, body: bytes
) -> FilePlan:
    """Keep a plan for whoever asks for that file and tree again, and return it."""
    name = _name(identity, asked)
    write_entry(KIND, _BODY.format(name), body)
    write_entry(KIND, name, index)
    plan = FilePlan(index, lambda start, size: body[start : start + size])
    _keep(identity, asked, plan)
    return plan


def _keep(identity: FileIdentity, asked: str, plan: FilePlan) -> None:
    with _lock:
        _kept[identity, asked] = plan
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


def _name(identity: FileIdentity, asked: str) -> str:
    parts = (
        identity.path,
        identity.uuid,
        str(identity.size_bytes),
        str(identity.modified_ns),
        identity.etag,
        asked,
        str(FORMAT),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
