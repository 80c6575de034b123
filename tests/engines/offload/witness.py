"""Counts, from outside of every sandbox, how often each job has begun.

A job says its name over the loopback interface, which jobs share with who sent them:
nothing that comes back, is merged or is logged has a part in the count.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from typing import Self


class Witness:
    """``with Witness() as witness``: jobs run ``witness.says(name)`` (Python)."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        self._begun: Counter[str] = Counter()
        self._held: set[str] = set()
        self._waiting: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._is_over = False
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing it would not wake who waits in accept().
        self._is_over = True
        socket.create_connection(("127.0.0.1", self._port)).close()
        self._thread.join()
        self._socket.close()
        for name in [*self._held]:
            self.release(name)

    def says(self, name: str) -> str:
        """Return a line of Python that tells this witness that NAME has begun."""
        return (
            "import socket; "
            f"c = socket.create_connection(('127.0.0.1', {self._port})); "
            f"c.sendall(b'{name}\\n'); c.recv(1); c.close()\n"
        )

    def hold(self, name: str) -> str:
        """As :meth:`says`; who says it goes on when NAME is released."""
        self._held.add(name)
        return self.says(name)

    def release(self, name: str) -> None:
        """Let who holds at NAME, or will, go on."""
        with self._lock:
            self._held.discard(name)
            caller = self._waiting.pop(name, None)
        if caller is not None:
            with caller, contextlib.suppress(OSError):
                caller.sendall(b".")

    def count(self, name: str) -> int:
        """How often NAME has begun."""
        with self._lock:
            return self._begun[name]

    def _serve(self) -> None:
        while True:
            caller, _ = self._socket.accept()
            if self._is_over:
                caller.close()
                return
            name = ""
            with contextlib.suppress(OSError), caller.makefile("rb") as lines:
                name = lines.readline().strip().decode()
            if not name:  # it was ended before it could say it
                caller.close()
                continue
            with self._lock:
                self._begun[name] += 1
                is_held = name in self._held
                if is_held and (other := self._waiting.pop(name, None)):
                    other.close()  # a run that is over
                self._waiting |= {name: caller} if is_held else {}
            if not is_held:
                with caller, contextlib.suppress(OSError):
                    caller.sendall(b".")
