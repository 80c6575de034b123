"""What the publisher of a facility needs: keys, a repository, secrets, its settings."""

from __future__ import annotations

import os
import platform
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from facility.errors import UsageError
from facility.local.files import ensure_private_directory, replace_file
from facility.local.ports import holder, probe
from facility.runtime import Runtime
from facility.spec import Facility, Publisher
from offload.cache.publishing.settings import PublisherSettings, RegistrySettings
from offload.cache.publishing.tokens import token_of

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""As Go, and so images, name what the kernel names."""
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with
_PUBLIC = 0o711


def publisher_file(runtime: Runtime) -> Path:
    """Return what the publisher's process reads."""
    return runtime.run_dir / "publisher.json"


def publisher_url(runtime: Runtime) -> str | None:
    """Return where the publisher answers on this machine; None without one."""
    publisher = runtime.spec.publisher
    if publisher is None:
        return None
    host = _EVERY.get(publisher.bind, publisher.bind)
    return f"http://{f'[{host}]' if ':' in host else host}:{publisher.port}"


def publisher_place(runtime: Runtime) -> dict[str, Any]:
    """Return what people's agents are told: some of the fields of their settings."""
    publisher = runtime.spec.publisher
    if publisher is None:
        return {}
    tokens = _tokens(runtime)
    return {
        "publisher": publisher_url(runtime),
        # With several users the folder: each can read his own.
        "publisher_token": tokens if runtime.multi_user else tokens / runtime.owner,
        "public_store": runtime.spec.offload.store,
        "public_indexes": publisher.public_indexes,
        "repository": publisher.fqrn,
    }


def publisher_settings(runtime: Runtime, publisher: Publisher) -> PublisherSettings:
    """Return what the publisher's process is told. Holds no secret."""
    places = repository_places(runtime.state_dir, publisher)
    machine = platform.machine()
    secret = runtime.secrets_dir / "publisher-events"
    return PublisherSettings(
        fqrn=publisher.fqrn,
        bind=publisher.bind,
        port=publisher.port,
        folder=places.folder,
        keys=places.keys,
        state=runtime.state_dir / "publisher/work",
        event_secret=publisher.event_secret or secret,
        token_key=runtime.secrets_dir / "publisher-tokens",
        admins=tuple(sorted({runtime.owner, *runtime.spec.users.admins})),
        registries=_registries(runtime.spec, publisher),
        wishes=runtime.spec.images,
        networks=publisher.networks,
        architecture=_ARCHITECTURES.get(machine, machine),
        poll_s=publisher.poll,
        retention_s=publisher.retention,
        grace_s=publisher.grace,
        revisions=publisher.revisions,
        level=publisher.compression,
        inbox_bytes=publisher.inbox,
    )


def check_publisher(spec: Facility) -> None:
    """Raise unless the publisher can listen.

    Raises:
        UsageError: the port is taken, or the address is not ours.
    """
    publisher = spec.publisher
    if publisher is not None and (error := probe(publisher.bind, publisher.port)):
        raise UsageError(
            f"publisher: {publisher.bind}:{publisher.port} cannot be had "
            f"({os.strerror(error) if error > 0 else 'unknown name'}; in use by "
            f"{holder(publisher.port)}): choose another address or port"
        )


def prepare_publisher(runtime: Runtime) -> None:
    """Make keys and repository if there are none, people's tokens, and the settings.

    Raises:
        FacilityError: the keys are not the repository's, or cannot be read.
    """
    publisher = runtime.spec.publisher
    if publisher is None:
        return
    settings = publisher_settings(runtime, publisher)
    places = repository_places(runtime.state_dir, publisher)
    ensure_repository(places, publisher.fqrn)
    key = runtime.secret("publisher-tokens")
    folder = _tokens(runtime)
    ensure_private_directory(folder)
    for person in sorted({runtime.owner, *runtime.people}):
        path = folder / person
        replace_file(path, token_of(person, key))
        if runtime.multi_user:
            with suppress(KeyError):  # nobody can log in by that name yet
                os.chown(path, pwd.getpwnam(person).pw_uid, -1)
    if runtime.multi_user:
        folder.chmod(_PUBLIC)  # each reads his own
    settings.save(publisher_file(runtime))


@dataclass(frozen=True, slots=True)
class RepositoryPlaces:
    """Where a repository and its keys are."""

    folder: Path
    keys: Path


def repository_places(state_dir: Path, publisher: Publisher) -> RepositoryPlaces:
    """Return where a facility with that state has its repository."""
    below = state_dir / "publisher"
    return RepositoryPlaces(
        publisher.folder or below / "repository", publisher.keys or below / "keys"
    )


def ensure_repository(places: RepositoryPlaces, fqrn: str) -> bool:
    """Make keys and repository where there are none; return whether any was made.

    Raises:
        FacilityError: the folder has another repository, or the keys are not its own, or
            cannot be read.
    """
    # The library of keys takes 0.1 s to import; most facilities publish nothing.
    from offload.cache.cvmfs.errors import UntrustedError
    from offload.cache.cvmfs.keys import Keys
    from offload.cache.cvmfs.manifest import FILE_NAME, SignedManifest
    from offload.cache.cvmfs.repository import Repository

    manifest = places.folder / "public" / FILE_NAME
    is_new = not manifest.exists()
    if not is_new:
        found = SignedManifest.parse(manifest.read_bytes()).unverified.fqrn
        if found != fqrn:
            raise UsageError(
                f"{places.folder}: expected the repository {fqrn}, got {found}: put "
                "`fqrn` of `publisher` back, or name another `folder`"
            )
    elif not (places.keys / f"{fqrn}.key").exists():
        ensure_private_directory(places.keys)
        Keys.generate(fqrn, datetime.now(UTC)).save(places.keys, fqrn)
    keys = Keys.load(places.keys, fqrn)
    for path in places.keys.glob("*.*key"):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path}: others can read it; run: chmod 600 {path}")
    if is_new:
        places.folder.mkdir(parents=True, exist_ok=True)
        Repository(places.folder, fqrn, keys).create()
    else:
        try:
            Repository(places.folder, fqrn, keys).open()
        except UntrustedError:
            raise UsageError(
                f"{places.folder}: it is signed with other keys than those in "
                f"{places.keys}: put its own back, or name another `folder`"
            ) from None
    return is_new


def _tokens(runtime: Runtime) -> Path:
    return runtime.open_dir / "publisher-tokens"


def _registries(spec: Facility, publisher: Publisher) -> tuple[RegistrySettings, ...]:
    """Return the registries, that of the store among them."""
    found = {
        each.url.rstrip("/"): RegistrySettings(
            url=each.url.rstrip("/"),
            credentials=each.credentials,
            ca=each.ca,
            repositories=each.repositories,
        )
        for each in publisher.registries
    }
    if spec.offload.store is not None:
        parts = urlsplit(spec.offload.store)
        url, name = f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")
        store = found.get(url) or RegistrySettings(url=url)
        named = dict.fromkeys((*store.repositories, *([name] if name else [])))
        found[url] = store.model_copy(update={"repositories": tuple(named)})
    return tuple(found.values())
