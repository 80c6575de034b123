"""What Python and the machine code tell each other: arrays of 64-bit integers."""

from __future__ import annotations

from enum import IntEnum


class Slot(IntEnum):
    """Positions in a request; addresses are of memory that the caller keeps."""

    FUNCTIONS = 0
    """Address of :func:`facility.columnar.baskets.libraries.addresses`."""
    STATE = 1
    """Address of :class:`facility.columnar.baskets.libraries.Contexts`."""
    FILE = 2
    """File descriptor; -1 if :attr:`Row.SEEK` are addresses of memory."""
    TABLE = 3
    """Address of one :class:`Row` per basket."""
    BASKETS = 4
    BASKET = 5
    """The basket to go on with; after a fault, that basket."""
    ITEM_SIZE = 6
    """Bytes of one value; 0 for truth values."""
    RAW = 7
    """Address of memory for the largest basket as it is in the file."""
    SCRATCH = 8
    SCRATCH_SIZE = 9
    """Memory for an uncompressed basket."""
    CONTENT = 10
    CONTENT_ITEMS = 11
    """Where values go, and how many fit."""
    OFFSETS = 12
    """Address for where entries of vectors begin; 0 if the branch has no vectors."""
    ENTRY = 13
    """Vectors: entries done so far; ``offsets[ENTRY]`` are the values so far."""
    FILLED = 14
    """Values so far, of rows that do not say where theirs go."""
    EXPECTED = 15
    GOT = 16
    """With a fault: what was expected, and what is there."""
    LAYOUT = 17
    """:class:`facility.columnar.baskets.positions.Layout`."""


class Row(IntEnum):
    """Columns of the table of baskets."""

    SEEK = 0
    BYTES = 1
    ENTRIES = 2
    ITEMS = 3
    """Values in the basket; -1 if that is not known."""
    SKIP = 4
    TAKE = 5
    """Values (vectors: entries) that are not wanted, and wanted, from its beginning;
    -1 wanted: all that are in it, and they go after those of the row before."""
    AT = 6
    """Where in the content its first wanted value goes; not for vectors."""
