"""The three-way merge: what becomes of each path, killed and raced at every step."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload.outputs import (
    Area,
    Baseline,
    Landed,
    Outcome,
    OutputsError,
    Prior,
    Report,
    collect,
    kernel,
    land,
    landing,
    merge,
    staging,
)
from offload.outputs.journal import Journal
from offload.outputs.states import observe
from offload.snapshot.tree import Entry, Kind

Spec = str | None
"""Content of a path: text, ``"/"`` for a folder, ``"->TARGET"``, ``None`` for nothing."""


def put(path: Path, spec: Spec) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if spec is None:
        return
    if spec == "/":
        path.mkdir()
    elif spec.startswith("->"):
        path.symlink_to(spec[2:])
    else:
        path.write_text(spec)


def tree(folder: Path) -> dict[str, str]:
    """Everything in a folder, as ``put`` would have made it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            text = f"->{path.readlink()}"
        else:
            text = "/" if path.is_dir() else path.read_text()
        found[str(path.relative_to(folder))] = text
    return found


def entries(folder: Path) -> list[Entry]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = os.fsencode(path.relative_to(folder))
        state = observe(os.fsencode(path))
        match state.kind:
            case Kind.FILE:
                found.append(
                    Entry(name, state.kind, state.mode, state.size, state.content)
                )
            case Kind.LINK:
                target = state.content.encode()
                found.append(Entry(name, state.kind, 0o777, target=target))
            case Kind.FOLDER:
                found.append(Entry(name, state.kind, state.mode))
    return found


class World:
    """One job from the freeze to its landed outputs."""

    def __init__(
        self,
        folder: Path,
        frozen: dict[str, Spec],
        theirs: dict[str, Spec],
        ours: dict[str, Spec],
        globs: tuple[str, ...] = ("**",),
    ) -> None:
        self.root = folder / "home/proj"
        self.globs = globs
        site = folder / "site"
        pod = folder / "pod"
        for one in (self.root, site, pod):
            one.mkdir(parents=True)
        for path, spec in frozen.items():
            put(site / path, spec)
        baseline = Baseline.of(entries(site))
        for path, spec in (frozen | ours).items():
            put(self.root / path, spec)
        for path in theirs:
            if (site / path).is_symlink() or (site / path).is_file():
                (site / path).unlink()
        for path, spec in theirs.items():
            put(site / path, spec)
        self.pack = collect(Area(str(self.root), site), baseline, pod, globs=globs)
        self.jobs = folder / "home/jobs/42"

    def landed(self) -> Landed:
        return land(self.pack.path, self.jobs)

    def merge(self, **options: Any) -> Report:
        return merge(
            self.landed(), self.root, "42", **({"globs": self.globs} | options)
        )

    @property
    def here(self) -> dict[str, str]:
        return tree(self.root)


def outcomes(report: Report, world: World) -> dict[str, Outcome]:
    root = os.fsencode(world.root) + b"/"
    return {os.fsdecode(i.path.removeprefix(root)): i.outcome for i in report.items}


BOTH = Outcome.KEPT_BOTH


@pytest.mark.parametrize(
    ("frozen", "theirs", "ours", "here", "outcome"),
    [
        (None, "new", None, {"f": "new"}, Outcome.CREATED),
        (None, "new", "new", {"f": "new"}, Outcome.SAME),
        (None, "new", "mine", {"f": "mine", "f.42": "new"}, BOTH),
        ("old", "new", "old", {"f": "new"}, Outcome.REPLACED),
        ("old", "new", "new", {"f": "new"}, Outcome.SAME),
        ("old", "new", "mine", {"f": "mine", "f.42": "new"}, BOTH),
        ("old", "new", None, {"f": "new"}, Outcome.CREATED),
        ("old", "new", "->x", {"f": "->x", "f.42": "new"}, BOTH),
        ("old", "new", "/", {"f": "/", "f.42": "new"}, BOTH),
        ("old", None, "old", {"f": "old"}, Outcome.DELETED_THERE),
        ("old", None, "mine", {"f": "mine"}, Outcome.DELETED_THERE),
        ("old", "->new", "old", {"f": "->new"}, Outcome.REPLACED),
        ("->old", "->new", "->old", {"f": "->new"}, Outcome.REPLACED),
        ("->old", "->new", "->mine", {"f": "->mine", "f.42": "->new"}, BOTH),
        ("old", "/", "old", {"f": "old", "f.42": "/"}, BOTH),
        (None, "/", None, {"f": "/"}, Outcome.CREATED),
        (None, "/", "/", {"f": "/"}, Outcome.SAME),
        (None, "/", "mine", {"f": "mine", "f.42": "/"}, BOTH),
        (None, "/", "->.", {"f": "->."}, Outcome.REFUSED),
    ],
)
def test_one_path(
    frozen: Spec,
    theirs: Spec,
    ours: Spec,
    here: dict[str, str],
    outcome: Outcome,
    tmp_path: Path,
) -> None:
    world = World(tmp_path, {"f": frozen}, {"f": theirs}, {"f": ours})
    report = world.merge()
    assert world.here == here
    assert outcomes(report, world) == {"f": outcome}
    assert Report.loads(report.dumps()) == report


def test_open_notebook_stays_and_the_executed_copy_is_beside_it(tmp_path: Path) -> None:
    world = World(tmp_path, {"a.ipynb": "old"}, {"a.ipynb": "new"}, {})
    assert outcomes(world.merge(), world) == {"a.ipynb": Outcome.KEPT_BOTH}
    assert world.here == {"a.ipynb": "old", "a.42.ipynb": "new"}


def test_name_beside_that_is_taken_is_not_touched(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"f": "new"}, {"f": "mine", "f.42": "mine too"})
    report = world.merge()
    assert world.here == {"f": "mine", "f.42": "mine too", "f.42.1": "new"}
    assert report.items[0].placed == os.fsencode(world.root / "f.42.1")
    assert "f.42.1" in report.lines()[1]


def test_nothing_declared_only_lands(tmp_path: Path) -> None:
    world = World(tmp_path, {"f": "old"}, {"f": "new"}, {}, globs=())
    report = world.merge()
    assert world.here == {"f": "old"}
    assert (world.jobs / "outputs/f").read_text() == "new"
    assert report.notices[0].startswith("no outputs were declared")


def test_only_declared_ones_are_merged_and_the_site_is_not_believed(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, {}, {"a": "1", "b": "2"}, {}, globs=("*",))
    report = world.merge(globs=("a",))
    assert world.here == {"a": "1"}
    assert outcomes(report, world)["b"] is Outcome.ONLY_LANDED


def test_glob_without_a_match_is_a_notice(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"a": "1"}, {}, globs=("a", "*.root"))
    assert world.merge().notices == (
        "--outputs '*.root' matched nothing at the end of the job",
    )


def test_file_where_the_job_has_a_folder(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"d": "/", "d/a": "1", "d/b/c": "2"}, {"d": "mine"})
    report = world.merge()
    assert world.here == {
        "d": "mine",
        "d.42": "/",
        "d.42/a": "1",
        "d.42/b": "/",
        "d.42/b/c": "2",
    }
    assert outcomes(report, world)["d/b/c"] is Outcome.KEPT_BOTH


def test_nothing_goes_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    world = World(tmp_path, {}, {"d/a": "1"}, {"d": f"->{outside}"})
    report = world.merge()
    assert list(outside.iterdir()) == []
    assert outcomes(report, world)["d/a"] is Outcome.REFUSED


def test_nothing_goes_where_git_keeps_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {".git/hooks/post-checkout": "evil"}, {})
    report = world.merge()
    assert world.here == {}
    assert {i.outcome for i in report.items} == {Outcome.REFUSED}


def test_permissions_follow_unless_they_were_changed_here(tmp_path: Path) -> None:
    world = World(tmp_path / "1", {"f": "x", "g": "x"}, {"h": "run"}, {})
    (tmp_path / "1/site/f").chmod(0o755)
    (tmp_path / "1/site/g").chmod(0o755)
    (world.root / "g").chmod(0o600)
    world.pack.path.unlink()
    baseline = Baseline.of(
        [e._replace(mode=0o644) for e in entries(tmp_path / "1/site")]
    )
    (tmp_path / "1/site/h").chmod(0o755)
    world.pack = collect(
        Area(str(world.root), tmp_path / "1/site"),
        Baseline({p: k for p, k in baseline.paths.items() if p != b"h"}),
        tmp_path / "1/pod",
    )
    (world.root / "f").chmod(0o644)
    report = world.merge()
    assert outcomes(report, world) == {
        "f": Outcome.MODE_CHANGED,
        "g": Outcome.SAME,
        "h": Outcome.CREATED,
    }
    modes = {name: (world.root / name).stat().st_mode & 0o777 for name in "fgh"}
    assert modes == {"f": 0o755, "g": 0o600, "h": 0o755}


def test_replacing_keeps_the_permissions_of_here(tmp_path: Path) -> None:
    world = World(tmp_path, {"f": "old"}, {"f": "new"}, {})
    (world.root / "f").chmod(0o600)
    world.merge()
    assert (world.root / "f").read_text() == "new"
    assert (world.root / "f").stat().st_mode & 0o777 == 0o600


def test_changed_in_the_jobs_folder_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"f": "new"}, {})
    world.landed()
    (world.jobs / "outputs/f").write_text("fiddled with")
    report = world.merge()
    assert world.here == {}
    assert outcomes(report, world) == {"f": Outcome.REFUSED}


@pytest.mark.parametrize("spec", ["new", "->new"])
def test_removed_from_the_jobs_folder_is_refused(spec: Spec, tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"f": spec}, {})
    world.landed()
    (world.jobs / "outputs/f").unlink()
    report = world.merge()
    assert world.here == {}
    assert outcomes(report, world) == {"f": Outcome.REFUSED}
    assert "No such file" in report.items[0].why


def test_no_space_is_one_line_and_goes_on_later(tmp_path: Path) -> None:
    world = World(tmp_path, {"f": "old"}, {"f": "new"}, {})
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        mock.patch.object(staging, "copy", side_effect=full),
        pytest.raises(OutputsError, match=r"cannot be merged now: No space.*goes on"),
    ):
        world.merge()
    assert os.listdir(world.root) == ["f"]
    assert world.here == {"f": "old"}
    world.merge()
    assert world.here == {"f": "new"}


def test_merged_once_is_never_merged_again(tmp_path: Path) -> None:
    world = World(tmp_path, {"f": "old"}, {"f": "new"}, {})
    first = world.merge()
    (world.root / "f").write_text("old")
    assert world.merge() == first
    assert world.here == {"f": "old"}


def test_what_an_earlier_run_left_is_replaced(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"r/a": "2", "r/b": "2"}, {"r/a": "1", "r/b": "1"})
    prior = Prior.from_json(Prior.record(world.root, ("r/**",)).to_json())
    (world.root / "r/b").write_text("mine since")
    world.merge(prior=prior)
    assert world.here == {"r": "/", "r/a": "2", "r/b": "mine since", "r/b.42": "2"}


def test_elsewhere_only_where_it_is_allowed(tmp_path: Path) -> None:
    home, site = tmp_path / "home", tmp_path / "site"
    (home / "proj").mkdir(parents=True)
    (site / "working").mkdir(parents=True)
    (site / "home/histos").mkdir(parents=True)
    (site / "home/histos/a").write_text("1")
    glob = f"{home}/histos/*"
    (site / "pod").mkdir()
    pack = collect(
        Area(f"{home}/proj", site / "working"),
        Baseline({}),
        site / "pod",
        globs=[glob],
        elsewhere=[Area(str(home), site / "home")],
    )
    refused = merge(land(pack.path, tmp_path / "1"), home / "proj", "1", globs=[glob])
    assert [i.outcome for i in refused.items] == [Outcome.REFUSED]
    merged = merge(
        land(pack.path, tmp_path / "2"),
        home / "proj",
        "2",
        globs=[glob],
        elsewhere=[home],
    )
    assert [i.outcome for i in merged.items] == [Outcome.CREATED]
    assert (home / "histos/a").read_text() == "1"
    assert (tmp_path / "2/elsewhere" / str(home)[1:] / "histos/a").exists()


def test_working_folder_that_is_gone_leaves_everything_landed(tmp_path: Path) -> None:
    world = World(tmp_path, {}, {"f": "new"}, {})
    world.root.rmdir()
    assert outcomes(world.merge(), world) == {"f": Outcome.ONLY_LANDED}
    assert not world.root.exists()


def test_somebody_who_writes_keeps_his_file(tmp_path: Path) -> None:
    world = World(tmp_path, {"f": "old"}, {"f": "new"}, {})
    with (world.root / "f").open("a") as file:
        report = world.merge()
        file.write(" and more")
    assert world.here == {"f": "old and more", "f.42": "new"}
    assert "somebody is writing" in report.items[0].why


class KilledError(BaseException):
    """Like kill -9: nothing that comes after it has an effect."""


class Steps:
    """Counts the effects of a merge; does something before the n-th."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self._left = at
        self._act = act
        self._is_dead = False
        self._is_acting = False

    def _before(self) -> None:
        if self._is_dead:
            raise KilledError
        if self._is_acting:
            return
        if self._left == 0:
            self._is_acting = True
            try:
                self._act()
            except KilledError:
                self._is_dead = True
                raise
            finally:
                self._is_acting = False
        self._left -= 1

    @property
    def was_reached(self) -> bool:
        return self._left < 0 or self._is_dead

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for owner, name in [
                *((os, n) for n in ("unlink", "rename", "mkdir", "symlink", "link")),
                *((os, n) for n in ("fchmod", "chmod", "rmdir")),
                (kernel, "_rename"),
                (staging, "copy"),
                (Journal, "write"),
            ]:
                real = getattr(owner, name)

                def counted(*args: Any, real: Any = real, **options: Any) -> Any:
                    self._before()
                    return real(*args, **options)

                stack.enter_context(mock.patch.object(owner, name, counted))
            yield


def kill() -> None:
    raise KilledError


def without_exchange(old: bytes, new: bytes, folder: int, flags: int) -> None:
    """What NFS answers."""
    raise OSError(22, "Invalid argument")


NAMES = ("a", "d/b.ipynb")
specs = st.sampled_from([None, "one", "two", "three", "->one", "->two"])
worlds = st.tuples(
    st.fixed_dictionaries(dict.fromkeys(NAMES, specs)),
    st.fixed_dictionaries(dict.fromkeys(NAMES, specs)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, specs)),
)
quick = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@contextlib.contextmanager
def made(case: tuple[dict[str, Spec], ...]) -> Iterator[World]:
    # What the disk has after a power cut is not asked here, and waiting for it costs.
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(os, "fsync"),
        mock.patch.object(landing, "synchronise"),
    ):
        yield World(Path(folder), *case)


@pytest.mark.parametrize("rename", [kernel._rename, without_exchange])
@quick
@given(case=worlds)
def test_killed_before_every_step_and_done_again_it_is_the_same(
    rename: Callable[..., None], case: tuple[dict[str, Spec], ...]
) -> None:
    with mock.patch.object(kernel, "_rename", rename):
        with made(case) as world:
            wanted_report = world.merge()
            wanted = world.here
            wanted_outcomes = outcomes(wanted_report, world)
        for at in range(500):
            steps = Steps(at, kill)
            with made(case) as world:
                landed = world.landed()
                with contextlib.suppress(KilledError), steps.counted():
                    merge(landed, world.root, "42", globs=world.globs)
                report = world.merge()
                assert world.here == wanted
                if rename is not without_exchange:
                    assert outcomes(report, world) == wanted_outcomes
            if not steps.was_reached:
                return
        pytest.fail("a merge of two paths has no 500 steps")


def edit_in_place(path: Path) -> bool:
    if not path.parent.is_dir() or path.is_symlink():
        return False
    path.write_text("edited")
    return True


def edit_by_rename(path: Path) -> bool:
    if not path.parent.is_dir():
        return False
    draft = path.with_name("draft of the editor")
    draft.write_text("edited")
    draft.replace(path)
    return True


@pytest.mark.parametrize("edit", [edit_in_place, edit_by_rename])
@quick
@given(case=worlds, name=st.sampled_from(NAMES), is_killed=st.booleans())
def test_an_edit_before_any_step_is_never_lost(
    edit: Callable[[Path], bool],
    case: tuple[dict[str, Spec], ...],
    name: str,
    is_killed: bool,
) -> None:
    for at in range(500):
        done: list[bool] = []
        with made(case) as world:

            def act(world: World = world, done: list[bool] = done) -> None:
                done.append(edit(world.root / name))
                if is_killed:
                    kill()

            steps = Steps(at, act)
            landed = world.landed()
            with contextlib.suppress(KilledError), steps.counted():
                merge(landed, world.root, "42", globs=world.globs)
            report = world.merge()
            here = world.here
            if any(done):
                assert "edited" in here.values()
            assert not [path for path in here if ".42." in path and path[0] == "."]
            for item in report.items:
                if item.outcome is Outcome.KEPT_BOTH:
                    assert os.path.lexists(item.placed)
        if not steps.was_reached:
            return
    pytest.fail("a merge of two paths has no 500 steps")
