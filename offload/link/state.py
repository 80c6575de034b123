"""Whether a site can be reached, and until when: what each way there has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

SHORTEST_S = 1.0
LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Reachable:
    """What is connected to the socket talks to the plugin."""

    until: datetime | None = None
    """End of the credential; ``None`` if it has none."""
    warning: str = ""
    """What the person should see to before the site pauses; empty if nothing."""

    def to_json(self) -> dict[str, str | None]:
        until = None if self.until is None else self.until.isoformat()
        return {"state": "reachable", "until": until, "warning": self.warning}

    def __str__(self) -> str:
        return self.warning or "reachable"


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing can be sent; jobs are kept and go on once it is reachable."""

    reason: str
    """In words for the person whose jobs wait."""
    until: datetime | None = None
    """When it is tried again, or when what is in the way ends; ``None``: when somebody
    has acted."""

    def to_json(self) -> dict[str, str | None]:
        until = None if self.until is None else self.until.isoformat()
        return {"state": "paused", "until": until, "reason": self.reason}

    def __str__(self) -> str:
        if self.until is None:
            return self.reason
        return f"{self.reason} (until {self.until.astimezone():%Y-%m-%d %H:%M:%S})"


State = Reachable | Paused


def from_json(data: object) -> State:
    """Read what ``to_json`` of a state wrote.

    Raises:
        ValueError: it is something else.
    """
    match data:
        case {"state": "reachable", "until": str() | None as until, "warning": str(w)}:
            return Reachable(_time(until), w)
        case {"state": "paused", "until": str() | None as until, "reason": str(r)}:
            return Paused(r, _time(until))
    raise ValueError(f"expected the state of a link, got {data!r}")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def delay_s(failures: int) -> float:
    """Return how long to wait after so many failures in a row before the next try."""
    return min(LONGEST_S, SHORTEST_S * 2.0 ** min(failures - 1, 16))


class Link(Protocol):
    """One way to the plugin of one site, for one person."""

    @property
    def state(self) -> State:
        """What was found last, without looking again."""
        ...

    async def open(self) -> Path:
        """Return the unix socket behind which the plugin answers.

        Idempotent: connects if it is not, at most as often as the back-off allows.

        Raises:
            PausedError: it cannot be reached now; the error says why and until when.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection. The plugin and its jobs run on."""
        ...
