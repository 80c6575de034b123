"""``$(NAME)`` in commands, arguments and values, as Kubernetes expands it.

Guarantees (source: Kubernetes API reference, "Container v1 core", ``command``):

- ``$(NAME)`` becomes the value of a known variable; an unknown one stays as it is.
- ``$$`` becomes ``$``, so ``$$(NAME)`` is the text ``$(NAME)``, never expanded.
- Any other ``$``, and a parenthesis that is not closed, stay as they are.
- What was put in is not expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its references replaced."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(value, text)
