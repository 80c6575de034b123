"""The made-up events as a file: TTree, RNTuple or Parquet, written as they come."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from facility.columnar.adl.sample import COLLECTIONS, FLAT, blocks
from facility.errors import UsageError

TREE = "Events"
CODECS = {
    "zstd": uproot.ZSTD,
    "lz4": uproot.LZ4,
    "zlib": uproot.ZLIB,
    "lzma": uproot.LZMA,
}
DEFAULT_LEVEL = {"zstd": 5, "lz4": 4, "zlib": 1, "lzma": 1}


class Format(StrEnum):
    """What a sample can be written as."""

    TTREE = "ttree"
    RNTUPLE = "rntuple"
    PARQUET = "parquet"


def write_sample(
    path: Path,
    events: int,
    *,
    seed: int = 1,
    compression: str = "zstd:5",
    basket_events: int = 100_000,
    form: Format = Format.TTREE,
) -> None:
    """Write ``events`` made-up events; the file appears when it is whole.

    Columns ``MET_pt``, ``MET_phi``, ``nJet``, ``Jet_pt`` ...: see
    :mod:`facility.columnar.adl.sample`. The events are the same for the same seed,
    whatever the compression, the basket and the format.

    Args:
        path: what is written, in a folder that is there; replaced if it is there.
        events: how many.
        seed: of the random streams.
        compression: ``zstd:5``, ``lz4``, ``zlib:1``, ``lzma``, ``none``; Parquet has
            no LZMA.
        basket_events: events of one basket, cluster or row group.
        form: TTree, RNTuple or Parquet.

    Raises:
        UsageError: an argument is out of range, or the file cannot be written.
    """
    if events < 1 or basket_events < 1:
        raise UsageError(
            f"{events} events in baskets of {basket_events}: expected at least 1"
        )
    codec, level = parse_compression(compression)
    if not path.parent.is_dir():  # uproot would make it
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}")
    draft = path.with_name(f".{path.name}.new")
    clusters = _clusters(events, seed, basket_events)
    try:
        match form:
            case Format.TTREE:
                _write_ttree(draft, clusters, codec, level)
            case Format.RNTUPLE:
                _write_rntuple(draft, clusters, codec, level)
            case Format.PARQUET:
                _write_parquet(draft, clusters, codec, level)
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if draft.exists():
            draft.unlink()


def parse_compression(text: str) -> tuple[str, int]:
    """Return codec and level of ``zstd:5``; the level may be left out.

    Raises:
        UsageError: there is no such codec or level.
    """
    codec, colon, digits = text.lower().partition(":")
    if codec == "none" and not colon:
        return codec, 0
    if codec not in CODECS:
        raise UsageError(
            f"compression {text!r}: expected {', '.join(CODECS)} or none, with a level "
            "as in zstd:5"
        )
    if not colon:
        return codec, DEFAULT_LEVEL[codec]
    if digits.isascii() and digits.isdigit() and 1 <= int(digits) <= 9:
        return codec, int(digits)
    raise UsageError(f"compression {text!r}: expected a level from 1 to 9")


def _clusters(events: int, seed: int, size: int) -> Iterator[ak.Array]:
    """Yield the events in pieces of ``size``; the last one may be smaller."""
    waiting: ak.Array | None = None
    for block in blocks(events, seed):
        waiting = block if waiting is None else ak.concatenate([waiting, block])
        whole = len(waiting) // size * size
        for start in range(0, whole, size):
            yield waiting[start : start + size]
        waiting = waiting[whole:]
    if waiting is not None and len(waiting):
        yield waiting


def _write_ttree(
    path: Path, clusters: Iterator[ak.Array], codec: str, level: int
) -> None:
    types: dict[str, Any] = dict.fromkeys(FLAT, np.float32)
    for name, fields in COLLECTIONS.items():
        members = ", ".join(f"{field}: {dtype}" for field, dtype in fields.items())
        types[name] = f"var * {{{members}}}"
    with uproot.recreate(path, compression=_uproot_codec(codec, level)) as file:
        tree = file.mktree(TREE, types, title="made-up events (SIMULATION)")
        for cluster in clusters:
            tree.extend({name: cluster[name] for name in types})


def _write_rntuple(
    path: Path, clusters: Iterator[ak.Array], codec: str, level: int
) -> None:
    with uproot.recreate(path, compression=_uproot_codec(codec, level)) as file:
        first = next(clusters)
        ntuple = file.mkrntuple(TREE, _columns(first))
        for cluster in clusters:
            ntuple.extend(_columns(cluster))


def _write_parquet(
    path: Path, clusters: Iterator[ak.Array], codec: str, level: int
) -> None:
    import pyarrow.parquet as pq  # a quarter of a second that ROOT files do not need

    if codec == "lzma":
        raise UsageError("compression 'lzma': Parquet has zstd, lz4, zlib and none")
    name = {"zlib": "gzip"}.get(codec, codec)
    writer: pq.ParquetWriter | None = None
    try:
        for cluster in clusters:
            records = ak.zip(_columns(cluster), depth_limit=1)
            table = ak.to_arrow_table(records, extensionarray=False)
            if writer is None:
                writer = pq.ParquetWriter(
                    path,
                    table.schema,
                    compression=name,
                    compression_level=None if codec in ("none", "lz4") else level,
                )
            writer.write_table(table, row_group_size=len(table))
    finally:
        if writer is not None:
            writer.close()


def _uproot_codec(codec: str, level: int) -> Any:
    return CODECS[codec](level) if codec in CODECS else None


def _columns(cluster: ak.Array) -> dict[str, ak.Array]:
    """Return every column under its own name, with the counts."""
    columns = {name: cluster[name] for name in FLAT}
    for name, fields in COLLECTIONS.items():
        objects = cluster[name]
        columns[f"n{name}"] = ak.values_astype(ak.num(objects), np.int32)
        columns |= {f"{name}_{field}": objects[field] for field in fields}
    return columns
