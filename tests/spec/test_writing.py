"""What is written reads back as the same facility."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from facility.spec import (
    AuthenticatorKind,
    Ceiling,
    Ceilings,
    Facility,
    Gateway,
    Group,
    Hub,
    OAuth,
    Offload,
    Profile,
    Resources,
    Site,
    SiteKey,
    SiteKind,
    Slice,
    Storage,
    Users,
    dumps,
    loads,
)

SIZES = st.integers(0, 2**50)
DURATIONS = st.floats(0, 1e9)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True)
LOGINS = st.from_regex(r"[a-z_][a-z0-9_.-]{0,8}", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["C"]) | st.just("\n"), max_size=20)
PATHS = st.sampled_from(["/", "/opt/env", "/srv/a b", "/ü", "/~", "/#x", "/null"])
OPTIONAL_PATHS = st.none() | PATHS.map(Path)
COUNTS = st.none() | st.integers(0, 1_000_000)

CEILINGS = st.builds(
    Ceiling,
    clusters=COUNTS,
    workers=COUNTS,
    cores=st.none() | st.floats(0, 1e6),
    memory=st.none() | SIZES,
)
WORKERS = st.builds(Resources, cores=st.integers(1, 8), memory=st.integers(0, 2**33))
OAUTH = st.builds(
    OAuth,
    authorize_url=LINES,
    token_url=LINES,
    userdata_url=LINES,
    client_id=LINES,
    client_secret_file=PATHS.map(Path),
    scope=st.lists(LINES, max_size=2).map(tuple),
)
HUBS = st.builds(
    Hub,
    authenticator=st.sampled_from([AuthenticatorKind.PAM, AuthenticatorKind.OAUTH]),
    oauth=OAUTH,
    bind=st.sampled_from(["127.0.0.1", "0.0.0.0"]),
    port=st.integers(0, 65535),
    tls_certificate=PATHS.map(Path),
    tls_key=PATHS.map(Path),
    idle_timeout=DURATIONS,
    start_timeout=DURATIONS,
)

KEYS = st.builds(
    SiteKey,
    key=st.just("ssh-ed25519 AAAAC3Nz anna@work"),
    person=st.none() | LOGINS,
    expires=st.none() | st.dates(),
)


@st.composite
def facilities(draw: st.DrawFn) -> Facility:
    groups = draw(
        st.dictionaries(
            NAMES,
            st.builds(
                Group,
                users=st.lists(LOGINS, max_size=3).map(tuple),
                ceiling=st.none() | CEILINGS,
            ),
            max_size=3,
        )
    )
    slices = draw(
        st.lists(
            st.builds(
                Slice,
                name=NAMES,
                profile=st.none() | LINES,
                count=st.integers(1, 9),
                memory=SIZES,
            ),
            max_size=3,
            unique_by=lambda s: s.name,
        )
    )
    no_or = st.none()
    profiles = st.builds(
        Profile,
        name=NAMES,
        title=LINES,
        description=LINES,
        worker=WORKERS,
        slice=no_or | st.sampled_from([s.name for s in slices]) if slices else no_or,
        environment=OPTIONAL_PATHS,
        groups=st.lists(st.sampled_from(sorted(groups)), max_size=2).map(tuple)
        if groups
        else st.just(()),
    )
    worker = Resources(cores=8, memory=2**33)
    return Facility(
        name=draw(NAMES),
        users=Users(allowed=tuple(draw(st.lists(LOGINS, max_size=3)))),
        groups=groups,
        slices=tuple(slices),
        profiles=tuple(
            draw(st.lists(profiles, min_size=1, max_size=3, unique_by=lambda p: p.name))
        ),
        hub=draw(HUBS),
        gateway=Gateway(
            ceilings=Ceilings(worker=worker, user=draw(CEILINGS)),
            idle_timeout=draw(DURATIONS),
            refuse_other_environments=draw(st.booleans()),
        ),
        sites=tuple(
            draw(
                st.lists(
                    st.builds(
                        Site,
                        name=NAMES.filter(lambda name: name != "here"),
                        kind=st.sampled_from(SiteKind),
                        keys=st.lists(KEYS, max_size=2).map(tuple),
                        partition=st.none() | LINES,
                        slices=st.dictionaries(st.just("1g.5gb"), LINES),
                    ),
                    max_size=2,
                    unique_by=lambda s: s.name,
                )
            )
        ),
        offload=draw(st.builds(Offload, retention=DURATIONS)),
        storage=draw(st.builds(Storage, state=OPTIONAL_PATHS, log_size=SIZES)),
    )


@settings(max_examples=30, deadline=None)
@given(facilities())
def test_a_written_facility_reads_back_the_same(facility: Facility) -> None:
    assert loads(dumps(facility), directory=Path("/elsewhere")) == facility


@settings(max_examples=30, deadline=None)
@given(facilities())
def test_the_json_form_reads_back_the_same(facility: Facility) -> None:
    assert Facility.model_validate_json(facility.model_dump_json()) == facility


def test_quantities_are_written_with_units() -> None:
    text = dumps(Facility())
    assert "    memory: 2 GiB\n" in text
    assert "  idle_timeout: 30 min\n" in text
