"""What a saved result holds so that it can be computed again."""

from __future__ import annotations

import base64
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cloudpickle

from facility.columnar.code import personal_modules
from facility.columnar.computing import Task
from facility.columnar.errors import one_line
from facility.columnar.fused import Kernel
from facility.columnar.provenance import environment
from facility.environment import Environment
from facility.errors import UsageError

FORMAT = 1
"""Of this record and of all that must stay for the same bytes: the runs of a sum."""


@dataclass(frozen=True, slots=True)
class Record:
    """The analysis by value and by name, and the environment that it ran in."""

    python: str
    """``3.11``: byte code is of one minor version."""
    task: bytes
    """Pickled; unpickling runs code. Empty if it could not be kept."""
    problem: str
    """Why it could not be kept."""
    name: str
    """Module and name, ``__main__:dimuon``; of a kernel the name."""
    file: str
    """Where the source was; empty if that is not known."""
    source: str
    """Its text, for readers; empty if that is not known."""
    environment: Environment

    @classmethod
    def of(cls, task: Task) -> Record:
        """Describe a task of this process."""
        payload, problem = b"", ""
        try:
            with _by_value():
                payload = cloudpickle.dumps(task)
        except Exception as error:  # noqa: BLE001 - whatever an object's pickle raises
            problem = one_line(error)
        name, file, source = _described(task.analysis)
        return cls(
            python=_python(),
            task=payload,
            problem=problem,
            name=name,
            file=file,
            source=source,
            environment=environment(),
        )

    def load_task(self) -> Task:
        """Unpickle the task: this runs code that the file holds.

        Raises:
            UsageError: it was not kept, is of another Python, or cannot be loaded.
        """
        if not self.task:
            raise UsageError(
                f"{self.name} could not be kept when the result was saved "
                f"({self.problem}): run its source again"
            )
        if self.python != _python():
            raise UsageError(
                f"{self.name} is byte code of Python {self.python}, this is "
                f"{_python()}: use that version, or run its source again"
            )
        try:
            task = cloudpickle.loads(self.task)
        except Exception as error:
            raise UsageError(
                f"{self.name} cannot be loaded here: {one_line(error)}"
            ) from error
        if not isinstance(task, Task):
            raise UsageError(f"{self.name}: expected a task, got {type(task)}")
        return task

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``json`` writes and :meth:`from_json` reads."""
        return {
            "format": FORMAT,
            "python": self.python,
            "task": base64.b64encode(self.task).decode(),
            "problem": self.problem,
            "name": self.name,
            "file": self.file,
            "source": self.source,
            "environment": self.environment.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """Read what :meth:`to_json` returned; runs no code.

        Raises:
            ValueError, TypeError, LookupError: it is something else.
        """
        if data["format"] != FORMAT:
            raise ValueError(
                f"expected format {FORMAT} of what is needed to run again, got "
                f"{data['format']!r}"
            )
        return cls(
            python=data["python"],
            task=base64.b64decode(data["task"], validate=True),
            problem=data["problem"],
            name=data["name"],
            file=data["file"],
            source=data["source"],
            environment=Environment.from_json(data["environment"]),
        )


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@contextmanager
def _by_value() -> Iterator[None]:
    """Pickle what is of a person's own modules: they will have changed by then."""
    ours = [
        module
        for module in personal_modules()
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value()
    ]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)


def _described(analysis: Any) -> tuple[str, str, str]:
    """Return module and name, file, and source of what a person wrote."""
    if isinstance(analysis, Kernel):
        return analysis.name, analysis.body.file, analysis.body.source
    named = inspect.unwrap(getattr(analysis, "func", analysis))  # of a partial
    if not hasattr(named, "__qualname__"):
        named = type(named)
    name = f"{named.__module__}:{named.__qualname__}"
    try:
        return name, inspect.getsourcefile(named) or "", inspect.getsource(named)
    except (OSError, TypeError):  # typed at a prompt, or compiled
        return name, "", ""
