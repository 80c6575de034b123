"""What does not compile, or failed in compiled code: where, what and why."""

from __future__ import annotations

from facility.errors import UsageError

ARRAY_STYLE = "a plain function of events (array style) takes anything"


class KernelError(UsageError):
    """A kernel's body does not compile, or an event made it fail; one line."""


def refusal(where: str, text: str, reason: str, hint: str = "") -> KernelError:
    """Return the error for a construct that does not compile.

    Args:
        where: file and line.
        text: what is written there.
        reason: why it does not compile.
        hint: what to write instead; the array style is always named.
    """
    advice = f"{hint}, or: {ARRAY_STYLE}" if hint else ARRAY_STYLE
    return KernelError(f"{where}: `{text}` does not compile: {reason} ({advice})")
