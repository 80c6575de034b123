"""Slurm's own programs: called with a time limit and an environment of our making."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from offload.plugins.errors import (
    SchedulerError,
    SchedulerLimitError,
    SchedulerRefusedError,
    SchedulerTryLaterError,
)

QUEUE_FORMAT = "%A|%F|%K|%T|%r|%N|%k|%Z"
"""Job, array, task, state, reason, nodes, comment, folder (squeue(1), ``--format``)."""
NODES_FORMAT = "%N|%c|%m|%G"
HISTORY_FORMAT = "JobID,State"
_ARGUMENTS_AT_ONCE = 500
_KEPT = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SLURM_CONF", "USER")

_LIMIT = re.compile(
    r"MaxSubmit|MaxJobs|job submit limit|Job array index too large"
    r"|Invalid job array specification|QOS\w*Limit|Assoc\w*Limit",
    re.IGNORECASE,
)
_LATER = re.compile(
    r"temporarily unable|try again|Unable to contact|Connection (?:refused|failure)"
    r"|Zero Bytes were transmitted|Controller .*(?:busy|standby)|Slurm backup controller"
    r"|Transport endpoint|Partition .*(?:down|inactive)|No partition specified",
    re.IGNORECASE,
)
_DOUBT = re.compile(r"timed out|timeout|interrupted", re.IGNORECASE)
_NEVER = re.compile(
    r"Invalid (?:account|partition|qos|generic resource|node name|feature|license"
    r"|time|reservation|wckey)|invalid partition|Invalid --|unrecognized option"
    r"|Requested node configuration is not available|can not be satisfied"
    r"|Requested (?:time limit|reservation|nodes?) (?:is|are) invalid"
    r"|More processors requested|Access/permission denied|not permitted"
    r"|invalid number|Node count specification invalid|Invalid feature specification"
    r"|Required (?:node|partition) not available",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program printed."""

    code: int
    output: str
    complaint: str


def classify(complaint: str) -> SchedulerError:
    """Return what ``sbatch`` means by what it prints when it fails.

    What no rule knows is tried again, and said in Slurm's words.
    """
    lines = [line.removeprefix("sbatch: ") for line in complaint.splitlines()]
    words = "; ".join(line.removeprefix("error: ").strip() for line in lines if line)
    words = words[:500] or "sbatch said nothing"
    if _LIMIT.search(complaint):
        return SchedulerLimitError(words)
    if _NEVER.search(complaint):
        return SchedulerRefusedError(words)
    if _DOUBT.search(complaint):
        return SchedulerError(words)
    if _LATER.search(complaint):
        return SchedulerTryLaterError(words)
    return SchedulerTryLaterError(words)


class SlurmClient:
    """Slurm's programs.

    Args:
        commands: Their folder; ``PATH`` if ``None``.
        timeout_s: How long one of them may take; it is killed then.
    """

    def __init__(self, commands: Path | None, timeout_s: float) -> None:
        self._commands = commands
        self._timeout_s = timeout_s

    async def submit(self, options: Sequence[str], folder: Path) -> str:
        """Submit ``job.sh`` of a folder; return the job's id.

        Raises:
            SchedulerRefusedError, SchedulerLimitError, SchedulerTryLaterError: it was
                not taken.
            SchedulerError: it may have been taken.
        """
        script = str(folder / "job.sh")
        answer = await self._call("sbatch", "--parsable", *options, script)
        if answer.code != 0:
            raise classify(answer.complaint)
        job = answer.output.strip().partition(";")[0]
        if not job.isdecimal():
            raise SchedulerError(f"sbatch: expected a job's id, got {job[:80]!r}")
        return job

    async def queue(self) -> list[list[str]]:
        """Return the user's jobs, those that ended lately too: rows of fields."""
        answer = await self._checked(
            "squeue", "--noheader", "--array", "--states=all",
            f"--user={os.getuid()}", f"--format={QUEUE_FORMAT}",
        )  # fmt: skip
        return _rows(answer, QUEUE_FORMAT.count("|") + 1)

    async def history(self, ids: Collection[str]) -> list[list[str]]:
        """Return id and state of these jobs from the accounts."""
        answer = await self._checked(
            "sacct", "--noheader", "--parsable2", "--allocations",
            f"--format={HISTORY_FORMAT}", f"--jobs={','.join(sorted(ids))}",
        )  # fmt: skip
        return _rows(answer, 2)

    async def nodes(self) -> list[list[str]]:
        """Return name, CPUs, memory in MiB and gres of each node."""
        answer = await self._checked(
            "sinfo", "--noheader", "--Node", f"--format={NODES_FORMAT}"
        )
        return _rows(answer, 4)

    async def configuration(self) -> dict[str, str]:
        """Return Slurm's own configuration."""
        answer = await self._checked("scontrol", "show", "config")
        pairs = (line.partition("=") for line in answer.splitlines() if "=" in line)
        return {key.strip(): value.strip() for key, _, value in pairs}

    async def cancel(self, ids: Sequence[str]) -> None:
        """End jobs; those that are gone are no error."""
        # One request for each array, however many of its elements: else it is minutes
        # for a thousand.
        wanted = compressed(ids)
        for start in range(0, len(wanted), _ARGUMENTS_AT_ONCE):
            some = wanted[start : start + _ARGUMENTS_AT_ONCE]
            answer = await self._call("scancel", "--quiet", *some)
            if answer.code != 0 and not re.search(
                r"Invalid job id|already completing or completed", answer.complaint
            ):
                raise SchedulerError(f"scancel: {_one_line(answer.complaint)}")

    async def _checked(self, program: str, *arguments: str) -> str:
        answer = await self._call(program, *arguments)
        if answer.code != 0:
            raise SchedulerError(f"{program}: {_one_line(answer.complaint)}")
        return answer.output

    async def _call(self, program: str, *arguments: str) -> Answer:
        path = str(self._commands / program) if self._commands else program
        # Nothing like SBATCH_PARTITION of who started the plugin decides for pods, and
        # sbatch hands its environment to the job.
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                path,
                *arguments,
                env=kept,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise SchedulerError(f"{path}: {error.strerror}") from error
        try:
            async with asyncio.timeout(self._timeout_s):
                output, complaint = await process.communicate()
        except TimeoutError:
            raise SchedulerError(
                f"{program}: no answer within {self._timeout_s:g} s"
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        code = process.returncode
        return Answer(
            1 if code is None else code,
            output.decode(errors="replace"),
            complaint.decode(errors="replace"),
        )


def compressed(ids: Sequence[str]) -> list[str]:
    """Return job ids with elements of one array together (``7_[0-2,5]``)."""
    elements: dict[str, set[int]] = {}
    whole = []
    for id_ in dict.fromkeys(ids):
        array, _, element = id_.partition("_")
        if element.isdecimal():
            elements.setdefault(array, set()).add(int(element))
        else:
            whole.append(id_)
    return whole + [f"{array}_[{_runs(some)}]" for array, some in elements.items()]


def _runs(numbers: Collection[int]) -> str:
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in runs)


def _rows(text: str, fields: int) -> list[list[str]]:
    rows = (line.split("|", fields - 1) for line in text.splitlines())
    # Comments are free text: a line that one of somebody else's has broken is not ours.
    return [row for row in rows if len(row) == fields]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500] or "it failed without a word"
