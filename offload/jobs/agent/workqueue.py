"""Which jobs are to be looked at, each once however often it was asked for."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """Keys in the order in which they are due; a key that waits is not added twice."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._delayed: dict[K, asyncio.TimerHandle] = {}

    def add(self, key: K, delay_s: float = 0.0) -> None:
        """Have a key looked at; an earlier time replaces a later one."""
        if key in self._queued:
            return
        loop = asyncio.get_running_loop()
        timer = self._delayed.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay_s:
                return
            timer.cancel()
        if delay_s > 0:
            self._delayed[key] = loop.call_later(delay_s, self._due, key)
        else:
            self._due(key)

    def _due(self, key: K) -> None:
        self._delayed.pop(key, None)
        self._queued.add(key)
        self._ready.put_nowait(key)

    async def get(self) -> K:
        """Wait for the next key; it may be added again from now on."""
        key = await self._ready.get()
        self._queued.discard(key)
        return key

    def close(self) -> None:
        """Drop every timer."""
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
