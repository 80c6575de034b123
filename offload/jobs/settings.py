"""What a person's jobs need to know of the facility. Holds no secret.

The supervisor writes it to a file that its people may read; the variable
``FACILITY_OFFLOAD`` names the file in notebooks and terminals.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from platformdirs import user_config_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facility.spec import Site
from offload.jobs.errors import FacilityAwayError, JobsError, NoSuchSiteError
from offload.jobs.model import MAIN, ElementName

VARIABLE = "FACILITY_OFFLOAD"
"""Environment variable that holds the path of the settings file."""

APPLICATION = "analysis-facility"


class Settings(BaseModel):
    """Where jobs of this facility are recorded and may go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facility_id: str
    state_dir: Path
    """Of one person: ledger, snapshots, sockets. A leading ``~`` is his home."""
    sites: tuple[Site, ...] = (Site(name="here"),)
    store: str | None = None
    """OCI registry with the repository; ``None`` keeps snapshots at home only."""
    publisher: str | None = None
    """URL of the publisher; ``None`` publishes nothing that is handed over to it."""
    publisher_token: Path | None = None
    """File (mode 0600) with what the person shows there; with several users the folder
    of such files, by login name."""
    public_store: str | None = None
    """OCI registry, with the repository, that public parts of environments are pushed to
    for a publisher to take them from; ``None`` hands them to the publisher itself."""
    public_indexes: tuple[str, ...] = ("https://pypi.org/simple",)
    """What these package indexes (simple repository API) give out may be published."""
    repository: str | None = None
    """Name (FQRN) of the repository that is published in."""
    launcher_socket: Path
    """Where agents are asked for."""
    dialed_dir: Path | None = None
    """Where the sockets of sites that dial in appear (:mod:`offload.link.admission`)."""
    jobs_dir: Path = Path("~/jobs")
    """Parent of the folders that outputs land in."""
    multi_user: bool = False
    people: tuple[str, ...] = ()
    """Who may have jobs, if there are several users."""
    retention_s: Annotated[float, Field(ge=0)] = 30 * 86400.0
    """Snapshots that no job needs are kept for so long."""
    most_returned_bytes: Annotated[int, Field(ge=1)] = 100 * 2**30
    """What one execution of a job may bring home: its outputs, and its log."""
    idle_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    """An agent with nothing to do leaves after so many seconds."""

    @property
    def publishes(self) -> bool:
        """Whether public parts of environments are published."""
        return self.publisher is not None or self.public_store is not None

    @property
    def home(self) -> Path:
        """The person's folder of this facility."""
        return self.state_dir.expanduser()

    @property
    def ledger(self) -> Path:
        return self.ledger_template.expanduser()

    @property
    def ledger_template(self) -> Path:
        """The same of anybody: ``~`` is not replaced."""
        return self.state_dir / "ledger.sqlite"

    @property
    def snapshots(self) -> Path:
        """The person's own store of snapshots (an OCI image layout)."""
        return self.home / "snapshots"

    @property
    def agent_socket(self) -> Path:
        return self.agent_socket_template.expanduser()

    @property
    def agent_socket_template(self) -> Path:
        """The same of anybody: ``~`` is not replaced."""
        return self.state_dir / "agent.sock"

    @property
    def sites_dir(self) -> Path:
        """Folders of the sites on this machine."""
        return self.home / "sites"

    def folder(self, job: object) -> Path:
        """Return where the outputs and logs of a job land."""
        return self.jobs_dir.expanduser() / str(job)

    def element_folder(self, name: ElementName) -> Path:
        """Return where those of one execution land."""
        folder = self.folder(name.job)
        return folder if name.index is None else folder / str(name.index)

    def log(self, name: ElementName) -> Path:
        """Return where the whole log of one execution is kept once it is home."""
        return self.element_folder(name) / "logs" / f"{MAIN}.log"

    @property
    def credentials_dir(self) -> Path:
        """Where the person keeps credential files (mode 0600) for jobs."""
        return user_config_path(APPLICATION, appauthor=False) / "credentials"

    def site(self, name: str) -> Site:
        """Return the site of that name.

        Raises:
            NoSuchSiteError: there is none; the line says which there are.
        """
        for site in self.sites:
            if site.name == name:
                return site
        known = ", ".join(site.name for site in self.sites) or "none"
        raise NoSuchSiteError(
            f"site {name!r}: the facility has no such site; there are: {known}"
        )

    def save(self, path: Path, *, mode: int = 0o600) -> None:
        """Write it; readers see the old or the new one."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(self.model_dump_json(indent=1))
        draft.chmod(mode)
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read what :meth:`save` wrote.

        Raises:
            FacilityAwayError: it is not there.
            JobsError: it is something else.
        """
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            raise FacilityAwayError(
                f"{path}: no such file: is the facility running? (`facility up`)"
            ) from None
        except ValidationError as error:
            what = error.errors(include_url=False)[0]
            raise JobsError(
                f"{path}: {'.'.join(map(str, what['loc']))}: {what['msg']}"
            ) from None

    @classmethod
    def from_environment(cls) -> Settings | None:
        """Read the file that ``FACILITY_OFFLOAD`` names; ``None`` if it names none."""
        name = os.environ.get(VARIABLE)
        return cls.load(Path(name)) if name else None
