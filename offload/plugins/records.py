"""What the plugin knows of each pod, in one file per pod: ``work/pods/UID/record.json``.

A record is written before the effect that it announces. Files are written elsewhere,
made durable and renamed, so that whoever starts after a ``kill -9`` finds the old or the
new record whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from offload.cache.removal import remove_tree
from offload.interlink.messages import RetrievedPodData
from offload.interlink.pod import Pod
from offload.plugins.node.folder import PodFolder, write_bytes

_NAME: Final = "record.json"


class Stage(StrEnum):
    """How far the plugin has come with a pod."""

    ACCEPTED = "accepted"
    """Recorded; no job of it can exist."""
    SUBMITTING = "submitting"
    """A job of it may exist: the scheduler was, or was about to be, asked for one."""
    SUBMITTED = "submitted"
    """The scheduler has taken it."""
    ENDED = "ended"
    """No job of it exists any more, and none ever will."""


class Ending(BaseModel):
    """How the plugin says that a pod ended, where the wrapper cannot."""

    model_config = ConfigDict(frozen=True)

    reason: str
    message: str


class Record(BaseModel):
    """One pod, as the plugin sees it."""

    model_config = ConfigDict(frozen=True)

    uid: str
    name: str = ""
    namespace: str = ""
    group: str = ""
    """Pods of one group and with equal needs go into one array."""
    group_size: int = 1
    index: int = 0
    options: tuple[str, ...] = ()
    """What the executor made of the pod's request."""
    accepted_at: float
    """Unix time."""
    is_unwanted: bool = False
    """It was deleted: whatever exists of it has to end."""
    stage: Stage = Stage.ACCEPTED
    submission: str = ""
    task: int = 0
    """Its place in the submission."""
    job: str = ""
    """The scheduler's id, as people and clients write it (``123_4``)."""
    state: str = ""
    """The scheduler's last word on the job."""
    why: str = ""
    """The scheduler's reason for that state."""
    state_at: float = 0.0
    missed: int = 0
    """How often in a row the scheduler did not know the job."""
    refusals: int = 0
    """How often the scheduler refused to take it."""
    refusal: str = ""
    """Its words."""
    retry_at: float = 0.0
    ending: Ending | None = None
    """Stands above what containers say, once it is there."""
    ended_at: float = 0.0
    received: str = ""
    """Digest of the outputs that are safe at home."""

    def changed(self, **fields: object) -> Record:
        """Return the record with other values."""
        return self.model_copy(update=fields)


class Submission(BaseModel):
    """Pods that the scheduler is asked to take together: a job, or an array of them."""

    model_config = ConfigDict(frozen=True)

    id: str
    uids: tuple[str, ...]
    """By task."""
    options: tuple[str, ...]
    name: str


class WorkArea:
    """The folder in which everything of a site lies.

    Args:
        path: Made if need be, for its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pods = path / "pods"
        self._submissions = path / "submissions"
        for folder in (path, self._pods, self._submissions):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def pod(self, uid: str) -> PodFolder:
        return PodFolder(self._pods / uid)

    def submission(self, id_: str) -> Path:
        return self._submissions / id_

    def accept(self, record: Record, data: RetrievedPodData) -> None:
        """Take a pod in: once this has returned, it is never forgotten."""
        folder = self.pod(record.uid)
        for path in (folder.path, folder.status, folder.logs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(folder.pod, data.to_wire())
        self.save(record)

    def save(self, record: Record) -> None:
        """Replace a record, durably."""
        content = record.model_dump_json(exclude_defaults=True).encode()
        write_bytes(self.pod(record.uid).path / _NAME, content)

    def records(self) -> Iterator[Record]:
        """Read all records; a folder without one was never accepted."""
        for folder in sorted(self._pods.iterdir()):
            try:
                yield Record.model_validate_json((folder / _NAME).read_bytes())
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
            except ValidationError:
                # Written by a plugin from another time: not ours to judge or remove.
                continue

    def read_pod(self, uid: str) -> Pod:
        """Return a pod as it was sent."""
        content = self.pod(uid).pod.read_bytes()
        return RetrievedPodData.model_validate_json(content).pod

    def drop_secrets(self, uid: str) -> None:
        """Keep of a pod that has ended only what is no secret; again is fine."""
        folder = self.pod(uid)
        data = RetrievedPodData.model_validate_json(folder.pod.read_bytes())
        secret = {
            volume.name
            for volume in data.pod.spec.volumes
            if volume.secret is not None or volume.projected is not None
        }
        # Not by path: a name is whatever the caller wrote, and could lead elsewhere.
        for place in [*folder.volumes.iterdir()] if folder.volumes.exists() else []:
            if place.name in secret:
                remove_tree(place)
        if data.container:
            write_bytes(folder.pod, RetrievedPodData(pod=data.pod).to_wire())

    def save_submission(self, submission: Submission, script: str) -> Path:
        """Write what a job needs; return its folder."""
        folder = self.submission(submission.id)
        folder.mkdir(mode=0o700, exist_ok=True)
        folders = "".join(f"{self.pod(uid).path}\n" for uid in submission.uids)
        write_bytes(folder / "folders", folders.encode())
        write_bytes(folder / "job.sh", script.encode(), mode=0o700)
        write_bytes(folder / "submission.json", submission.model_dump_json().encode())
        return folder

    def read_submission(self, id_: str) -> Submission | None:
        """Return a submission; ``None`` if it was never completely written."""
        try:
            content = (self.submission(id_) / "submission.json").read_bytes()
        except FileNotFoundError:
            return None
        return Submission.model_validate_json(content)

    def submissions(self) -> list[str]:
        """Return the ids of all submissions."""
        return sorted(folder.name for folder in self._submissions.iterdir())

    def forget_submission(self, id_: str) -> None:
        shutil.rmtree(self.submission(id_), ignore_errors=True)

    def forget_pod(self, uid: str) -> None:
        """Remove everything of a pod: it is unknown from now on."""
        # The record goes last: what is cut off is found, and removed, again.
        folder = self.pod(uid).path
        for entry in [*folder.iterdir()] if folder.exists() else []:
            if entry.name == _NAME:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
