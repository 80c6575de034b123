"""The demo's second half: the same analysis as a job, frozen here and run by a site.

It takes the way of ``facility submit``, at a facility that is the demo's own. What was
frozen, and what the site unpacked of it, is kept beside the outputs for the next demo:
nearly all of it is the environment that the demo itself runs in (1.2 GB), which takes
ten seconds to read, pack and unpack, and is the same the next time.
"""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facility.errors import FacilityError
from facility.runtime import Runtime
from facility.spec import Site
from facility.spec.consistency import HERE

if TYPE_CHECKING:
    from offload.jobs.model import Job
    from offload.jobs.settings import Settings

PROGRAM = "dimuon_batch.py"
"""Beside the notebook; does the same to the same file."""
RESULT = "dimuon-batch.json"
BARS = "▁▂▃▄▅▆▇█"
BINS_PER_BAR = 2
KEPT = "cache"
"""In the demo's output folder; may be deleted at any time."""
TIMEOUT_S = 300.0
CANCEL_S = 20.0


@dataclass(frozen=True, slots=True)
class Returned:
    """A job that succeeded and whose histogram is here."""

    seconds: float
    """From the first look at the files until its outputs were in place."""
    stages: dict[str, float]
    """Seconds that it took to reach each stage from the one before."""
    site: str
    files: int
    size: int
    """Bytes that were frozen."""
    pairs: int
    """Entries of the histogram."""
    bars: str
    """The histogram in one line of text."""

    @property
    def note(self) -> str:
        """Say each stage with its time, in one line."""
        parts = ", ".join(f"{name} {took:.2f}" for name, took in self.stages.items())
        return f"{parts} s"


def run_job(
    runtime: Runtime, program: Path, sample: Path, out: Path, same_as: Path
) -> Returned:
    """Submit the program, wait for it and put its histogram into ``out``.

    Whatever happens, the job does not run on after this.

    Raises:
        FacilityError: it did not succeed (the line has the last one that it printed),
            or what it returned is not the histogram in ``same_as``.
    """
    # Late: half a second of imports, while the facility starts it would be in the way.
    from facility.client.submission import Wanted, submit
    from facility.client.working_environment import prefix_of
    from offload.jobs import queries
    from offload.jobs.settings import Settings
    from offload.snapshot import LocalStore, collect_garbage

    settings = Settings.load(runtime.offload_file)
    _keep_snapshots(settings, out)
    begin = time.monotonic()
    wanted = Wanted(
        command=("python", program.name, str(sample)),
        folder=program.parent.resolve(),
        prefix=prefix_of(Path(sys.executable)),
        inputs=(sample,),
    )
    submitted = submit(wanted, settings)
    name = str(submitted.id)
    try:
        job = queries.wait(settings, name, timeout_s=TIMEOUT_S)
    except TimeoutError as error:
        waiting = queries.job(settings, name).waiting
        raise FacilityError(f"{error}: {waiting or 'its log says more'}") from None
    finally:
        _end(settings, name)
    seconds = time.monotonic() - begin
    if job.outcome is None or job.outcome.value != "succeeded":
        raise FacilityError(f"the job {_how_it_ended(settings, job)}")
    values = _take_result(settings.folder(job.id), out, same_as)
    collect_garbage(LocalStore(settings.snapshots), [job.image])
    parts = submitted.snapshot.parts
    return Returned(
        seconds=seconds,
        stages=_stages(job, submitted.seconds),
        site=job.site or "",
        files=sum(part.files for part in parts),
        size=sum(part.size for part in parts),
        pairs=int(values.sum()),
        bars=_bars(values),
    )


def site_kept_in(out: Path) -> Site:
    """Return the site of this machine, with what it unpacks kept for the next demo."""
    return Site(name=HERE, work=str((out / KEPT / "site").absolute()))


def _keep_snapshots(settings: Settings, out: Path) -> None:
    """Have the facility's store of snapshots kept for the next demo."""
    kept = (out / KEPT).absolute()
    (kept / "snapshots").mkdir(mode=0o700, parents=True, exist_ok=True)
    # So that backups leave it out (bford.info/cachedir).
    (kept / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # of a demo that was killed
        settings.snapshots.symlink_to(kept / "snapshots")


def _end(settings: Settings, name: str) -> None:
    """See to it that the job has ended: it would outlive its facility."""
    from offload.jobs import queries

    if queries.cancel(settings, name):
        with suppress(TimeoutError):
            queries.wait(settings, name, timeout_s=CANCEL_S)


def _how_it_ended(settings: Settings, job: Job) -> str:
    from offload.jobs import queries

    log = b"".join(queries.logs(settings, str(job.id))).decode(errors="replace")
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    words = [str(job.outcome), job.message, last.strip()]
    return ": ".join(word for word in words if word)


def _take_result(folder: Path, out: Path, same_as: Path) -> np.ndarray:
    from facility.columnar import load

    found = next(iter((folder / "outputs").rglob(RESULT)), None)
    if found is None:
        raise FacilityError(f"the job has not written {RESULT}")
    shutil.copyfile(found, out / RESULT)
    histogram = load(out / RESULT)
    if isinstance(histogram, dict) or histogram != load(same_as):
        raise FacilityError(f"{out / RESULT} is not the histogram in {same_as}")
    return np.asarray(histogram.values())


def _bars(values: np.ndarray) -> str:
    heights = values.reshape(-1, BINS_PER_BAR).sum(axis=1)
    top = heights.max()
    return "".join(BARS[round(height / top * (len(BARS) - 1))] for height in heights)


def _stages(job: Job, frozen_s: float) -> dict[str, float]:
    reached = sorted(job.times.items(), key=lambda item: item[1])
    stages = {reached[0][0].value: frozen_s}
    for (_, before), (stage, at) in pairwise(reached):
        stages[stage.value] = at - before
    return {name: round(took, 3) for name, took in stages.items()}
