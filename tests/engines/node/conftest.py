"""Real snapshots of real environments, run in real sandboxes, as root and as nobody."""

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from offload.cache import SiteCache
from offload.plugins.node.settings import NodeSettings
from offload.snapshot import Request, Snapshot, freeze
from tests.offload.plugins.node.pods import PodAtHand, make_pod


def _needs_bubblewrap():
    if shutil.which("bwrap") is None:
        message = "no bwrap: type .ci/system-packages as root"
        pytest.skip(message)


class Project:
    """Somebody's working folder with a virtual environment, frozen."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "project"
        self.prefix = self.folder / ".venv"
        self.inputs = home / "data" / "input.txt"
        self.folder.mkdir(parents=True)
        self.inputs.parent.mkdir()
        self.inputs.write_text("events\n")
        (self.folder / "train.py").write_text("import fitter; fitter.run()\n")
        (self.folder / "data.txt").write_text("frozen\n")
        subprocess.run(
            ["/usr/bin/python3", "-m", "venv", "--without-pip", self.prefix], check=True
        )
        packages = next(self.prefix.glob("lib/python*/site-packages"))
        (packages / "fitter.py").write_text(
            "import sys, pathlib\n"
            "def run():\n"
            "    pathlib.Path('results').mkdir(exist_ok=True)\n"
            "    pathlib.Path('results/fit.txt').write_text('chi2 = 1\\n')\n"
            "    print(sys.prefix, __file__, pathlib.Path.cwd())\n"
        )
        record = packages / "fitter-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fitter\nVersion: 1.0\n"
        )
        (record / "RECORD").write_text(
            "fitter.py,,\nfitter-1.0.dist-info/METADATA,,\n"
            "fitter-1.0.dist-info/RECORD,,\n"
        )
        script = self.prefix / "bin" / "fit"
        script.write_text(f"#!{self.prefix}/bin/python\nimport fitter; fitter.run()\n")
        script.chmod(0o755)

    def freeze(self, cache: SiteCache) -> Snapshot:
        request = Request(self.folder, prefix=self.prefix, inputs=(self.inputs,))
        snapshot = freeze(request, cache.store)
        cache.ensure_image(snapshot.image)
        return snapshot

    def pod(self, snapshot: Snapshot, *command: str, **more) -> dict:
        """Return the pod of a job in this folder, as the agent builds it."""
        mounts = [{"name": "code", "mountPath": str(self.folder)}]
        mounts += [
            {
                "name": "snapshot",
                "subPath": part.path_in_image,
                "mountPath": part.mount,
                "readOnly": True,
            }
            for part in snapshot.parts
            if part.role != "code"
        ]
        reference = f"analysis-facility/snapshot@{snapshot.image}"
        made = make_pod(
            volumes=[
                {"name": "snapshot", "image": {"reference": reference}},
                {"name": "code", "emptyDir": {}},
                *more.pop("volumes", []),
            ],
            mounts=[*mounts, *more.pop("mounts", [])],
            annotations={
                "analysis-facility/working-folder": "code",
                "analysis-facility/outputs": '["results/**"]',
                **more.pop("annotations", {}),
            },
            main={"command": list(command), "workingDir": str(self.folder)},
            **more,
        )
        path = f"{self.prefix}/bin:/usr/bin:/bin"
        for container in made["pod"]["spec"]["containers"]:
            container["env"] = [
                {"name": "HOME", "value": str(self.home)},
                {"name": "PATH", "value": path},
                {"name": "VIRTUAL_ENV", "value": str(self.prefix)},
                *(v for v in container["env"] if v["name"] != "HOME"),
            ]
        return made


@pytest.fixture(params=["root", "nobody"])
def person(request):
    """Whose the jobs are; without root, who runs the tests is an ordinary user."""
    if os.geteuid() == 0:
        return request.param
    if request.param == "root":
        pytest.skip("needs root")
    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def place():
    """A folder that every user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="node-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def project(place):
    return Project(place / "home" / "physicist")


@pytest.fixture
def site(place, project):
    """A work area with the project's snapshot; ``site(command, ...)`` makes a pod."""
    _needs_bubblewrap()
    made = []
    work = place / "work"
    cache = SiteCache(work)
    snapshot = project.freeze(cache)

    def make(*command, runtime="bubblewrap", person=None, uid="b9f2", **pod):
        path = work / "pods" / uid
        path.mkdir(parents=True)
        scratch = work / "scratch"
        scratch.mkdir(exist_ok=True)
        NodeSettings(runtime=runtime, scratch=str(scratch)).save(work)
        document = project.pod(snapshot, *command, **pod)
        (path / "pod.json").write_text(json.dumps(document))
        if person is not None and os.geteuid() == 0:
            shutil.chown(work, person)
            for each in work.rglob("*"):
                if not each.is_symlink():
                    shutil.chown(each, person)
        made.append(PodAtHand(path))
        return made[-1]

    make.snapshot = snapshot
    make.work = work
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [pod.close() for pod in made])
        yield make


@pytest.fixture
def python():
    return sys.executable
