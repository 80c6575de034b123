"""What every engine's process does: answer questions on standard input, timed.

An engine is a program of its own, so that it imports only what it needs (one of them
lives in another environment) and is warm from its second answer on. Questions and
answers are lines of JSON.
"""

import json
import os
import resource
import sys
import time


def cpu_seconds():
    """Return the processor seconds of this process and its ended children."""
    own, children = (
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(u.ru_utime + u.ru_stime for u in (own, children))


def serve(answer):
    """Answer ``{"query": 6, "path": ...}`` by ``answer(**question)`` until the end.

    ``answer`` returns ``{"6a": counts, "6b": counts}``, whatever is JSON.
    """
    # What libraries print must not come between the lines of answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        cpu, wall = cpu_seconds(), time.perf_counter()
        value = answer(**question)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            json.dumps(
                {"value": value, "cpu": cpu, "wall": wall, "peak_kib": peak_kib}
            ),
            file=answers,
            flush=True,
        )
