"""Flags of ``sbatch`` that a pod brings along: read without a shell, refused by default.

The annotation ``slurm-job.vk.io/flags`` comes from whoever may create pods. What says
where, when and with how much a job runs is let through; what would redirect files, run
other programs, change the user or break the plugin's own book-keeping is not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from facility.spec.diagnostics import nearest
from offload.plugins.config import LimitsConfig
from offload.plugins.errors import ImpossibleRequestError

ANNOTATION = "slurm-job.vk.io/flags"

WITH_VALUE = frozenset({
    "account", "begin", "constraint", "cores-per-socket", "cpus-per-gpu",
    "cpus-per-task", "deadline", "distribution", "exclude", "gpu-bind", "gpu-freq",
    "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "gres", "gres-flags",
    "hint", "licenses", "mem", "mem-bind", "mem-per-cpu", "mem-per-gpu", "mincpus",
    "network", "nice", "nodelist", "nodes", "ntasks", "ntasks-per-core",
    "ntasks-per-gpu", "ntasks-per-node", "ntasks-per-socket", "partition", "power",
    "qos", "reservation", "sockets-per-node", "switches", "threads-per-core", "time",
    "time-min", "tmp", "wckey",
})  # fmt: skip
"""Let through, with a value."""

_FILES = frozenset({"exclude", "nodelist"})
"""Whose values, with a slash in them, ``sbatch`` takes for a file to read."""

WITHOUT_VALUE = frozenset({
    "contiguous", "exclusive", "no-requeue", "overcommit", "oversubscribe", "requeue",
    "spread-job", "use-min-nodes",
})  # fmt: skip
"""Let through; ``exclusive`` may have a value."""

SHORT = {
    "A": "account", "b": "begin", "C": "constraint", "c": "cpus-per-task",
    "F": "nodefile", "G": "gpus", "L": "licenses", "m": "distribution", "N": "nodes",
    "n": "ntasks", "O": "overcommit", "p": "partition", "q": "qos", "s":
    "oversubscribe", "t": "time", "w": "nodelist", "x": "exclude",
}  # fmt: skip


_TASKS = frozenset({
    "cores-per-socket", "cpus-per-gpu", "cpus-per-task", "exclusive", "mincpus",
    "nodes", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node",
    "ntasks-per-socket", "sockets-per-node", "threads-per-core",
})  # fmt: skip
_INSTEAD = (
    ("time", frozenset({"deadline", "time", "time-min"}), "activeDeadlineSeconds"),
    ("memory", frozenset({"mem", "mem-per-cpu", "mem-per-gpu"}), "its memory"),
    ("cpus", _TASKS, "its CPUs, nodes and tasks"),
)
"""Flags that would go round a limit of the site, and what is asked for instead."""


def refuse_beyond(flags: Iterable[str], limits: LimitsConfig) -> None:
    """Refuse flags that say what the site limits: there is another way to ask.

    Raises:
        ImpossibleRequestError: there is one.
    """
    for flag in flags:
        name = flag.removeprefix("--").partition("=")[0]
        for limit, names, instead in _INSTEAD:
            if name in names and getattr(limits, limit) is not None:
                raise _refused(
                    f"--{name}: this site limits the {limit} of a pod; ask for it by "
                    f"{instead}"
                )


def parse_flags(text: str) -> tuple[str, ...]:
    """Return flags as ``--name=value``, one each, in their order.

    Raises:
        ImpossibleRequestError: they cannot be read, or one of them is not allowed.
    """
    if not text.replace("\n", " ").isprintable():
        raise _refused("expected printable text, got control characters")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _refused(f"expected words as a shell reads them, got: {error}") from None
    found: list[str] = []
    while words:
        word = words.pop(0)
        name, has_value, value = _name(word)
        if name in WITH_VALUE:
            if not has_value:
                if not words or words[0].startswith("-"):
                    raise _refused(f"expected a value after {word}, got none")
                value = words.pop(0)
            if name in _FILES and "/" in value:
                raise _refused(f"--{name}: expected names, got a file {value[:60]!r}")
            found.append(f"--{name}={value}")
        elif name in WITHOUT_VALUE:
            if has_value and name != "exclusive":
                raise _refused(f"expected no value for --{name}, got {value!r}")
            found.append(f"--{name}={value}" if has_value else f"--{name}")
        else:
            hint = nearest(name, sorted(WITH_VALUE | WITHOUT_VALUE))
            raise _refused(f"flag {word[:60]!r} is not allowed for a pod{hint}")
    return tuple(found)


def _name(word: str) -> tuple[str, bool, str]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, bool(equals), value
    if word.startswith("-") and len(word) > 1:
        name, rest = SHORT.get(word[1], word[1]), word[2:]
        return name, bool(rest), rest.removeprefix("=")
    raise _refused(f"expected flags only, got {word[:60]!r}")


def _refused(why: str) -> ImpossibleRequestError:
    return ImpossibleRequestError(f"annotation {ANNOTATION}: {why}")
