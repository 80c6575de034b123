"""What compiled code finds wrong with a basket, as numbers and as words."""

from __future__ import annotations

from enum import IntEnum


class Fault(IntEnum):
    """Outcome of decoding."""

    NONE = 0
    MORE_SCRATCH = 1
    """Not a fault: so many bytes of scratch memory are expected."""
    MORE_CONTENT = 2
    """Not a fault: room for so many values is expected."""
    NO_LIBRARY = 3
    """Not a fault of the file: the codec's library is not on this machine."""
    READ = 4
    KEY = 5
    ENTRIES = 6
    ITEMS = 7
    LENGTH = 8
    BLOCK = 9
    METHOD = 10
    CHECKSUM = 11
    DECOMPRESS = 12
    VECTOR = 13


TEXTS = {
    Fault.READ: "{expected} bytes expected there, {got} read",
    Fault.KEY: "its key is damaged ({expected} expected, got {got})",
    Fault.ENTRIES: "{expected} entries expected, it declares {got}",
    Fault.ITEMS: "{expected} bytes of values expected, it declares {got}",
    Fault.LENGTH: "it declares {got} bytes, its entries are {expected} at most",
    Fault.BLOCK: "its compressed blocks declare {got} bytes, expected {expected}",
    Fault.METHOD: "unknown compression method {got:#06x}",
    Fault.CHECKSUM: "its checksum does not agree",
    Fault.DECOMPRESS: "it cannot be decompressed",
    Fault.VECTOR: "a vector in it declares {got} bytes, expected {expected}",
}
"""For messages: what is wrong with the basket."""
