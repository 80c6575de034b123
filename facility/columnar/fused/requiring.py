"""What columns must hold so that a body computes with them what they say."""

from __future__ import annotations

import numpy as np

from facility.columnar.columns import Content, Offsets
from facility.columnar.fused.errors import KernelError

_LARGEST = np.iinfo(np.int64).max


def require_signed(branch: str, content: Content) -> None:
    """Raise if a whole number of a branch is none of 64 bits with a sign.

    Raises:
        KernelError: bodies compute with those; it would be a negative number there.
    """
    if content.dtype != np.uint64 or not content.size:
        return
    largest = int(content.max())
    if largest > _LARGEST:
        raise KernelError(
            f"branch {branch} holds {largest}, and whole numbers of kernels are below "
            "2**63: use a plain function of events (array style)"
        )


def require_equal_lists(
    one: str, first: Offsets | None, other: str, second: Offsets | None
) -> None:
    """Raise unless two branches of an object have lists of the same lengths.

    Raises:
        KernelError: they have not: nobody knows which numbers belong together.
    """
    if first is second:
        return
    if first is None or second is None or not np.array_equal(first, second):
        raise unequal(one, other)


def not_plain(branch: str) -> KernelError:
    """Return the error that says that kernels cannot compute with a branch."""
    return KernelError(
        f"branch {branch} is neither numbers nor lists of numbers for kernels"
    )


def unequal(one: str, other: str) -> KernelError:
    """Return the error that says that lists of two branches differ in length."""
    return KernelError(
        f"branches {one} and {other} are not equally long in every event"
    )
