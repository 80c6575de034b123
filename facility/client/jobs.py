"""Jobs from Python: ``submit(...)`` returns a :class:`Job` to ask and to wait for.

from facility.client import submit

job = submit("python train.py --epochs 3", outputs="results/**")
job.wait()
print(job.logs())
"""

from __future__ import annotations

import html
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from facility.client.offload_settings import load_settings
from facility.client.submission import Wanted
from facility.client.submission import submit as _submit
from facility.client.working_environment import prefix_in_use, prefix_of

if TYPE_CHECKING:
    from offload.jobs.model import Job as Record
    from offload.jobs.settings import Settings

Paths = str | os.PathLike[str]


def submit(
    command: str | Sequence[str],
    *,
    site: str | None = None,
    slice: str | None = None,  # noqa: A002 - the word of --slice
    time: str | float | None = None,
    memory: str | int | None = None,
    cpus: int | None = None,
    nodes: int | None = None,
    tasks: int | None = None,
    count: int | None = None,
    after: Job | str | Iterable[Job | str] = (),
    outputs: str | Iterable[str] = (),
    inputs: Paths | Iterable[Paths] = (),
    credentials: str | Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
    environment: Paths | None = None,
    allow: str | Iterable[str] = (),
    flags: str | None = None,
    name: str | None = None,
    folder: Paths | None = None,
) -> Job:
    """Freeze what is in front of you and run it elsewhere; return its job at once.

    The job is safe when this returns: it needs neither this kernel nor a login.

    Args:
        command: Program and arguments: a list, or one text that is split as a shell
            would (no shell runs it). One name that ends in ``.ipynb`` is a notebook:
            it is executed in the environment of its kernel.
        site: Where; any legal site if ``None``.
        slice: Share of a GPU such as ``1g.5gb``, or ``gpu`` for a whole one.
        time: The longest it may run: ``"30 min"``, or seconds.
        memory: Of each node: ``"2 GiB"``, or bytes.
        cpus: Cores of each task.
        nodes: Machines.
        tasks: MPI ranks over all nodes; one for each node if ``None``.
        count: So many equal jobs, each with its index in ``FACILITY_JOB_INDEX``.
        after: Jobs that must have succeeded first.
        outputs: Globs, relative to the code's top folder, of files to merge back here.
        inputs: Files and folders to take along, code or not.
        credentials: Names of your credential files that the job may read.
        variables: Environment variables for the job. They are recorded: no secrets.
        environment: Prefix of a Python environment; this kernel's if ``None``.
        allow: Files that may travel though they look like secrets.
        flags: More options for the site's batch system.
        name: What you call it.
        folder: Where it runs; the working directory if ``None``.

    Raises:
        UsageError: a value, file, site or slice is not what it must be, or what would
            travel holds secrets: nothing was submitted.
        NotRunningError: there is no facility that could take it.
    """
    from facility.spec.units import parse_bytes, parse_seconds

    settings = load_settings()
    options: dict[str, object] = {
        "site": site,
        "slice": slice,
        "time_s": None if time is None else parse_seconds(time),
        "memory_bytes": None if memory is None else parse_bytes(memory),
        "cpus": cpus,
        "nodes": nodes,
        "tasks": tasks if tasks is not None else nodes,
        "count": count,
        "after": tuple(str(getattr(j, "id", j)) for j in _several(after)),
        "outputs": tuple(map(str, _several(outputs))),
        "credentials": tuple(map(str, _several(credentials))),
        "environment": dict(variables or {}),
        "flags": flags,
        "name": name,
    }
    words = shlex.split(command) if isinstance(command, str) else map(str, command)
    wanted = Wanted(
        command=tuple(words),
        folder=Path.cwd() if folder is None else Path(folder).absolute(),
        prefix=_own_prefix() if environment is None else Path(environment).absolute(),
        inputs=tuple(Path(str(path)) for path in _several(inputs)),
        allow=tuple(map(str, _several(allow))),
        options={key: value for key, value in options.items() if value is not None},
    )
    return Job(str(_submit(wanted, settings).id), settings)


def newest_jobs(limit: int = 20) -> list[Job]:
    """Return your newest jobs, the newest first."""
    from offload.jobs import queries

    settings = load_settings()
    return [Job(str(r.id), settings) for r in queries.jobs(settings, limit=limit)]


class Job:
    """A job of yours, by its id (``"42"``, or ``"42.7"`` for one of many)."""

    def __init__(self, id: str | int, settings: Settings | None = None) -> None:  # noqa: A002 - it is its id
        self.id = str(id)
        self._settings = load_settings() if settings is None else settings

    @property
    def record(self) -> Record:
        """All that is known of it now."""
        from offload.jobs import queries

        return queries.job(self._settings, self.id, with_elements=True)

    @property
    def status(self) -> str:
        """Its stage (``queued``, ``running`` ...), or how it ended (``succeeded``)."""
        record = self.record
        return str(record.stage if record.outcome is None else record.outcome)

    @property
    def is_done(self) -> bool:
        """Whether all that comes back is in place."""
        return self.record.is_done

    @property
    def waiting(self) -> str:
        """What it waits for, in words; empty if it does not."""
        return self.record.waiting

    @property
    def exit_code(self) -> int | None:
        """Of the program; the first that is not 0 of many; ``None`` before its end."""
        codes = [e.exit_code for e in self.record.elements if e.exit_code is not None]
        return next((code for code in codes if code), codes[0] if codes else None)

    @property
    def folder(self) -> Path:
        """Where its outputs and logs land."""
        number, _, index = self.id.partition(".")
        folder = self._settings.folder(number)
        return folder / index if index else folder

    @property
    def outputs(self) -> list[Path]:
        """The files that came back, in its own folder; empty before."""
        found = self.folder.rglob("outputs/**/*")
        return sorted(p for p in set(found) if p.is_file() or p.is_symlink())

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until its outputs are in place; how it ended is in :attr:`status`.

        Raises:
            TimeoutError: they are not after ``timeout`` seconds. The job goes on.
        """
        from offload.jobs import queries

        queries.wait(self._settings, self.id, timeout_s=timeout)
        return self

    @overload
    def logs(self, *, follow: Literal[False] = False) -> str: ...
    @overload
    def logs(self, *, follow: Literal[True]) -> Iterator[str]: ...
    def logs(self, *, follow: bool = False) -> str | Iterator[str]:
        """Return what it printed; with ``follow``, yield lines until it has ended."""
        from offload.jobs import queries

        chunks = queries.logs(self._settings, self.id, follow=follow)
        if follow:
            return _lines(chunks)
        return b"".join(chunks).decode(errors="replace")

    def cancel(self) -> bool:
        """End it; what it has written comes back. ``False`` if it had ended."""
        from offload.jobs import queries

        return queries.cancel(self._settings, self.id)

    def __repr__(self) -> str:
        record = self.record
        where = f" at {record.site}" if record.site else ""
        waiting = f", waiting: {record.waiting}" if record.waiting else ""
        return f"<Job {self.id} {record.spec.title!r}: {self.status}{where}{waiting}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook as a table."""
        record = self.record
        times = sorted(record.times.items(), key=lambda item: item[1])
        begin = times[0][1] if times else 0.0
        rows: list[tuple[str, Any]] = [
            ("job", f"{self.id}: {record.spec.title}"),
            ("status", self.status),
            ("site", record.site or "not chosen yet"),
            *((str(s), f"after {at - begin:.2f} s") for s, at in times[1:]),
        ]
        if record.waiting:
            rows.append(("waiting", record.waiting))
        if record.message:
            rows.append(("message", record.message))
        if record.is_done:
            rows.append(("outputs", str(self.folder)))
        cells = "".join(
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
            for key, value in rows
        )
        return f"<table>{cells}</table>"


def _own_prefix() -> Path | None:
    """Return the environment of this kernel, not of the shell that began it."""
    return prefix_of(Path(sys.executable)) if sys.executable else prefix_in_use({})


def _several(values: Any) -> Iterable[Any]:
    """Take one value for a list of one."""
    if isinstance(values, str | os.PathLike | Job):
        return (values,)
    return tuple(values)


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
