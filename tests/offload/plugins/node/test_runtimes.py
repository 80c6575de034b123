from dataclasses import replace
from pathlib import Path

import pytest

from offload.plugins.node.folder import PodError, PodFolder
from offload.plugins.node.layout import mount_points, plan_layout
from offload.plugins.node.parallel import across_tasks
from offload.plugins.node.pod import parse_pod
from offload.plugins.node.runtimes import RUNTIMES, Launch, choose
from offload.plugins.node.runtimes.apptainer import Apptainer, skeleton
from offload.plugins.node.runtimes.bubblewrap import Bubblewrap
from offload.plugins.node.runtimes.direct import Direct, moved
from offload.plugins.node.runtimes.launch import Process
from offload.plugins.node.snapshots import SnapshotTrees
from offload.plugins.node.volumes import Volumes

PROCESS = Process(("python", "train.py"), {"SECRET": "x", "TMPDIR": ""}, "/home/u/p")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "work" / "pods" / "uid"
    path.mkdir(parents=True)
    return PodFolder(path)


@pytest.fixture
def plan(folder, tmp_path):
    """Plan a job in /home/u/p with its environment inside and an input beside it."""

    def plan(*, image="", limits=None):
        container = parse_pod(
            {
                "metadata": {"name": "j"},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": image,
                            "resources": {"limits": limits or {}},
                            "volumeMounts": [
                                mount("snapshot", "/home/u/p/.venv", "env"),
                                mount("code", "/home/u/p/"),
                                mount("snapshot", "/usr/share/in/x", "inputs/0/x"),
                            ],
                        }
                    ]
                },
            }
        ).main[0]
        env, inputs = tmp_path / "trees" / "env", tmp_path / "trees" / "in"
        env.mkdir(parents=True, exist_ok=True)
        inputs.mkdir(exist_ok=True)
        (inputs / "x").touch()
        (folder.volumes / "code").mkdir(parents=True, exist_ok=True)
        volumes = Volumes(
            {"code": folder.volumes / "code"},
            {"snapshot": SnapshotTrees("", {"env": env, "inputs/0": inputs})},
        )
        layout = plan_layout(
            container,
            folder,
            volumes,
            home="/home/u",
            scratch=tmp_path / "scratch",
            termination_log=folder.path / "termination",
        )
        return container, layout

    return plan


def mount(name, target, sub_path=""):
    return {"name": name, "mountPath": target, "subPath": sub_path}


def test_what_lies_inside_comes_after_what_it_lies_in(plan):
    _, layout = plan()
    targets = [place.target for place in layout.places]
    assert targets.index("/home/u") < targets.index("/home/u/p")
    assert targets.index("/home/u/p") < targets.index("/home/u/p/.venv")


def test_shared_places_are_read_only(plan):
    _, layout = plan()
    shared = {p.target for p in layout.places if p.is_shared}
    assert shared == {"/home/u/p/.venv", "/usr/share/in/x"}
    assert all(p.is_read_only for p in layout.places if p.is_shared)


def test_marks_of_mounts_lie_in_the_innermost_private_place(plan, folder):
    _, layout = plan()
    points = {place.target: point for point, place in mount_points(layout)}
    assert points == {
        "/home/u/p": folder.path / "home" / "p",
        "/home/u/p/.venv": folder.volumes / "code" / ".venv",
    }


def options_of(launch: Launch) -> list[str]:
    return launch.arguments.split("\0")[:-1]


def binds(launch: Launch) -> dict[str, tuple[str, str]]:
    words = options_of(launch)
    return {
        words[i + 2]: (word, words[i + 1])
        for i, word in enumerate(words)
        if word in {"--bind", "--ro-bind"}
    }


def test_bubblewrap_binds_places_at_their_paths(plan, folder, tmp_path):
    container, layout = plan()
    launch = Bubblewrap().launch(container, layout, PROCESS)
    bound = binds(launch)
    assert bound["/home/u/p"] == ("--bind", str(folder.volumes / "code"))
    assert bound["/home/u/p/.venv"] == ("--ro-bind", str(tmp_path / "trees" / "env"))
    assert bound["/home/u"] == ("--bind", str(folder.path / "home"))
    assert bound["/etc"] == ("--ro-bind", "/etc")
    assert bound["/tmp"][0] == "--bind"
    assert "/home" not in bound
    assert "/" not in bound
    targets = list(bound)
    assert targets.index("/home/u/p") < targets.index("/home/u/p/.venv")


def test_bubblewrap_rebuilds_what_is_read_only_around_a_new_place(plan, tmp_path):
    container, layout = plan()
    bound = binds(Bubblewrap().launch(container, layout, PROCESS))
    assert bound["/usr/share/in/x"] == ("--ro-bind", str(tmp_path / "trees/in/x"))
    assert "/usr" not in bound
    assert "/usr/share" not in bound
    assert bound["/usr/bin"] == ("--ro-bind", "/usr/bin")


def test_bubblewrap_shows_neither_variables_nor_mounts_in_its_command_line(plan):
    container, layout = plan()
    launch = Bubblewrap().launch(container, layout, PROCESS)
    assert launch.argv[1:] == ("--", "python", "train.py")
    assert "x" not in options_of(launch)
    assert launch.environment == {"SECRET": "x", "TMPDIR": "/tmp"}


def test_bubblewrap_runs_no_images_by_name(plan):
    for image, words in (("busybox:1", "busybox:1"), ("/no/such", "no such folder")):
        container, layout = plan(image=image)
        with pytest.raises(PodError, match=words):
            Bubblewrap().launch(container, layout, PROCESS)


def test_bubblewrap_binds_what_the_site_adds(plan):
    container, layout = plan()
    words = options_of(Bubblewrap(["/cvmfs"]).launch(container, layout, PROCESS))
    at = words.index("/cvmfs")
    assert words[at - 1 : at + 2] == ["--ro-bind-try", "/cvmfs", "/cvmfs"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/u/p", "/w/code"),
        ("/home/u/p/x.py", "/w/code/x.py"),
        ("/home/u/p/.venv/bin:/usr/bin", "/w/env/bin:/usr/bin"),
        ("--out=/home/u/p/x", "--out=/w/code/x"),
        ("cd /home/u/p && ls", "cd /w/code && ls"),
        ("file:///home/u/p/x", "file:///w/code/x"),
        ("/home/u/project", "/w/home/project"),
        ("/home/user", "/home/user"),
        ("/mnt/home/u/p", "/mnt/home/u/p"),
        ("/home/u/p.bak", "/w/home/p.bak"),
        ("-I/home/u/p", "-I/w/code"),
        ("", ""),
    ],
)
def test_without_mounts_paths_are_rewritten(text, expected):
    places = {
        "/home/u": Path("/w/home"),
        "/home/u/p": Path("/w/code"),
        "/home/u/p/.venv": Path("/w/env"),
    }
    assert moved(text, places) == expected


def test_without_mounts_shared_places_are_copied(plan, folder, tmp_path):
    container, layout = plan()
    (tmp_path / "trees" / "env" / "pyvenv.cfg").write_text("at = /home/u/p/.venv\n")
    process = Process(
        ("/home/u/p/.venv/bin/x",), {"VIRTUAL_ENV": "/home/u/p/.venv"}, "/"
    )
    launch = Direct().launch(container, layout, process)
    env = Path(launch.environment["VIRTUAL_ENV"])
    assert env.parent == folder.root
    assert launch.argv == (f"{env}/bin/x",)
    assert (env / "pyvenv.cfg").read_text() == f"at = {env}\n"
    assert (folder.volumes / "code" / ".venv").readlink() == env
    again = Direct().launch(container, layout, process)
    assert again.argv == launch.argv


def test_apptainer_binds_the_same_places(plan, folder, tmp_path):
    container, layout = plan(limits={"nvidia.com/gpu": "1"})
    launch = Apptainer().launch(container, layout, PROCESS)
    assert launch.argv[1] == "exec"
    assert launch.argv[-2:] == ("python", "train.py")
    assert f"{folder.volumes / 'code'}:/home/u/p:rw" in launch.argv
    assert f"{tmp_path / 'trees' / 'env'}:/home/u/p/.venv:ro" in launch.argv
    assert "/usr:/usr:ro" in launch.argv
    assert "--nv" in launch.argv
    assert launch.environment["APPTAINERENV_SECRET"] == "x"
    assert not any("SECRET" in word for word in launch.argv)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("busybox:1", "docker://busybox:1"),
        ("docker://busybox", "docker://busybox"),
        ("/images/x.sif", "/images/x.sif"),
    ],
)
def test_apptainer_runs_images_by_name(plan, image, expected):
    container, layout = plan(image=image)
    assert Apptainer().launch(container, layout, PROCESS).argv[-3] == expected


def test_a_skeleton_is_as_the_system_it_stands_for(tmp_path):
    for _ in range(2):
        made = skeleton(tmp_path / "image")
    for name in ("bin", "lib64", "usr", "etc"):
        original = Path("/") / name
        if original.is_symlink():
            assert (made / name).readlink() == original.readlink()
        elif original.exists():
            assert (made / name).is_dir()


def test_the_first_runtime_that_works_is_taken(monkeypatch):
    assert list(RUNTIMES) == ["apptainer", "bubblewrap", "none"]
    works = {"apptainer": False, "bubblewrap": True, "none": True}
    for name, kind in RUNTIMES.items():
        monkeypatch.setattr(kind, "probe", lambda _self, name=name: works[name])
    assert choose().name == "bubblewrap"
    works["apptainer"] = True
    assert choose().name == "apptainer"
    works.update(apptainer=False, bubblewrap=False)
    assert choose().name == "none"
    with pytest.raises(PodError, match="probe"):
        choose("bubblewrap")
    with pytest.raises(PodError, match="expected auto or one of"):
        choose("docker")


def test_a_runtime_that_is_not_installed_fails_its_probe(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not Bubblewrap().probe()
    assert not Apptainer().probe()
    assert Direct().probe()


def test_srun_starts_a_runtime_per_task(tmp_path):
    launch = Launch(
        ("bwrap", "--", "x"), {"SECRET": "s"}, arguments="--a\0", is_sandboxed=True
    )
    parallel = across_tasks(launch, 2, 8, tmp_path, {"SLURM_CONF": "/c"})
    assert parallel.argv[:4] == (
        "srun",
        "--nodes=2",
        "--ntasks=8",
        "--kill-on-bad-exit=1",
    )
    assert parallel.environment == {"SLURM_CONF": "/c"}
    assert not parallel.is_sandboxed
    document = tmp_path / "task.json"
    assert parallel.argv[-1] == str(document)
    assert document.stat().st_mode & 0o777 == 0o600
    assert "SECRET" in document.read_text()
    assert "SECRET" not in " ".join(parallel.argv)


def test_no_path_of_a_pod_becomes_another_option_of_bubblewrap(plan):
    cwd = "/home/u/p\0--bind\0/\0/host"
    with pytest.raises(PodError, match="NUL"):
        Bubblewrap().launch(*plan(), Process(("true",), {}, cwd))


def test_no_library_of_the_job_is_loaded_into_bubblewrap_itself(plan):
    said = {"LD_PRELOAD": "/work/evil.so", "LD_LIBRARY_PATH": "/x", "A": "b"}
    launch = Bubblewrap().launch(*plan(), Process(("true",), said, "/"))
    assert launch.environment == {"A": "b", "TMPDIR": "/tmp"}
    assert "--setenv\0LD_PRELOAD\0/work/evil.so\0" in launch.arguments
    assert "--setenv\0LD_LIBRARY_PATH\0/x\0" in launch.arguments


@pytest.mark.parametrize("kind", [Bubblewrap, Apptainer])
def test_no_image_is_a_folder_around_other_pods(plan, tmp_path, kind):
    (tmp_path / "usr").mkdir()
    (tmp_path / "bare").mkdir()
    for image in (str(tmp_path), "//", "/proc/self/root", str(tmp_path / "bare")):
        with pytest.raises(PodError, match="unpacked image"):
            kind().launch(*plan(image=image), PROCESS)


def test_no_mount_of_a_pod_becomes_another_of_apptainer(plan):
    container, layout = plan()
    odd = replace(layout.places[0], target="/x,/home/u:/home/u")
    with pytest.raises(PodError, match="no colon"):
        Apptainer().launch(container, replace(layout, places=(odd,)), PROCESS)


def test_no_place_to_mount_on_is_made_through_a_link(plan, folder, tmp_path):
    _, layout = plan()
    code = next(p for p in layout.places if p.target == "/home/u/p")
    (code.source / "out").symlink_to(tmp_path)
    inner = replace(layout.places[-1], target="/home/u/p/out/made")
    with pytest.raises(PodError, match="leads out"):
        mount_points(replace(layout, places=(code, inner)))
