"""What a rule is: one kind of secret, and how it is found in text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PLACEHOLDER = re.compile(
    r"example|sample|dummy|changeme|placeholder|redacted|your|insert|secret|password"
    r"|passwd|token|xxxx|\*\*\*|\.\.\.|<|>|\{|\}|\$\(|\$[A-Za-z_]|%\(|1234567|abcdefg",
    re.IGNORECASE,
)
_ALLOWED_LINE = re.compile(r"pragma: ?allowlist", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret in text."""

    kind: str
    needles: tuple[bytes, ...]
    """One of them is in every text that the rule matches."""
    find: Callable[[str], Iterator[int]]
    """Yields where in the text a secret begins."""

    def is_possible(self, content: bytes) -> bool:
        return any(needle in content for needle in self.needles)


def is_placeholder(value: str) -> bool:
    """Tell whether a value stands for a secret in a document, rather than being one."""
    return len(set(value)) < 5 or _PLACEHOLDER.search(value) is not None


def is_allowed_line(text: str, position: int) -> bool:
    """Whether the line carries detect-secrets' ``pragma: allowlist secret``."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return _ALLOWED_LINE.search(text[start : None if end < 0 else end]) is not None
