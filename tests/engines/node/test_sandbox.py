"""What a job sees, does and leaves, in each runtime and as each kind of user."""

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from offload import zstd
from offload.plugins.node.folder import ExitCode

pytestmark = pytest.mark.engines

PRINT = "import sys; print(open(sys.argv[1]).read(), end='')"


def outputs(pod) -> dict[str, bytes]:
    """Return the members of the pack, unpacked by others' tools."""
    with (
        zstd.ZstdFile(pod.folder.path / "outputs.tar.zst") as packed,
        tarfile.open(fileobj=packed, mode="r|") as archive,
    ):
        return {
            m.name: archive.extractfile(m).read() if m.isfile() else b""
            for m in archive
        }


@pytest.mark.parametrize("runtime", ["bubblewrap", "none"])
def test_a_job_runs_its_snapshot_and_leaves_what_it_made(
    site, project, person, runtime
):
    pod = site("python", "train.py", runtime=runtime, person=person)
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.stderr + str(pod.done)
    prefix, module, cwd = pod.log().split()
    if runtime == "bubblewrap":
        assert prefix == str(project.prefix)
        assert module.startswith(prefix)
        assert cwd == str(project.folder)
    else:
        assert prefix.startswith(str(site.work))
        assert module.startswith(prefix)
    files = {name: data for name, data in outputs(pod).items() if data}
    files.pop("changes.json")
    assert files == {"working/results/fit.txt": b"chi2 = 1\n"}
    assert pod.done["outputs"]["digest"].startswith("sha256:")
    assert not (project.folder / "results").exists()


@pytest.mark.parametrize("runtime", ["bubblewrap", "none"])
def test_scripts_of_the_environment_and_inputs_work(site, project, person, runtime):
    pod = site(
        "sh", "-c", f"fit && cat {project.inputs} data.txt && echo x >> data.txt",
        runtime=runtime, person=person,
    )  # fmt: skip
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.log() + str(pod.done)
    assert pod.log().splitlines()[1:] == ["events", "frozen"]
    assert outputs(pod)["working/data.txt"] == b"frozen\nx\n"


@pytest.mark.parametrize("runtime", ["bubblewrap", "none"])
def test_what_others_share_cannot_be_harmed(site, project, person, runtime):
    packages = project.prefix / "lib"
    pod = site(
        "sh", "-c",
        f"find {packages} -name fitter.py | while read f; do echo bad > $f; done; "
        f"echo bad > {project.inputs}; exit 0",
        runtime=runtime, person=person,
    )  # fmt: skip
    pod.run(user=person)
    if runtime == "bubblewrap":
        assert "Read-only file system" in pod.log()
    for name, text in (("fitter.py", "chi2"), ("input.txt", "events")):
        shared = list((site.work / "trees").rglob(name))
        assert shared
        assert all(text in path.read_text() for path in shared)


def test_the_sandbox_hides_the_rest_of_the_machine(site, project, person):
    pod = site(
        "python", "-c",
        "import os\n"
        f"print(os.path.exists({str(site.work)!r}), os.path.exists('/root'),\n"
        f"      sorted(os.listdir('/home')) if os.path.exists('/home') else [],\n"
        f"      os.listdir('/tmp'), os.path.exists({str(project.home / 'secret')!r}))\n"
        "print(sorted(os.listdir(os.environ['HOME'])))\n"
        f"open('/tmp/{project.home.parts[2]}-x', 'w'); open(os.environ['HOME'] + '/y', 'w')\n"
        "for path in ('/usr/x', '/etc/x'):\n"
        "    try: open(path, 'w')\n"
        "    except OSError as error: print(error.strerror)\n"
        "print(sorted(set(os.listdir('/dev')) & {'vda', 'sda', 'mem', 'null'}))\n"
        "print([p for p in os.listdir('/proc') if p.isdigit()] < ['1', '2', '3'])\n",
        person=person,
    )  # fmt: skip
    (project.home / "secret").write_text("x")
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.log()
    lines = pod.log().splitlines()
    first = f"False False [] ['{project.home.parts[2]}'] False"
    assert lines[0] == first
    assert lines[1] == "['data', 'project']"
    assert lines[2:4] == ["Read-only file system"] * 2
    assert lines[4] == "['null']"
    assert not Path(f"/tmp/{project.home.parts[2]}-x").exists()


def test_root_has_no_power_inside(site):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    pod = site(
        "sh", "-c", "mount -o remount,rw /usr 2>&1; grep CapEff /proc/self/status"
    )
    pod.run()
    assert pod.log().splitlines()[-1] == "CapEff:\t0000000000000000"


def test_volumes_of_every_kind(site, person):
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n\n-----END CERTIFICATE-----\n"
    volumes = [
        {"name": "config", "configMap": {"name": "cm", "items": [
            {"key": "a.cfg", "path": "deep/a.cfg"}]}},
        {"name": "credentials", "secret": {"secretName": "token"}},
        {"name": "ca", "projected": {"sources": [{"serviceAccountToken": {}}]}},
        {"name": "info", "downwardAPI": {"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "cpus", "resourceFieldRef": {
                "containerName": "main", "resource": "limits.cpu"}}]}},
    ]  # fmt: skip
    mounts = [
        {"name": "config", "mountPath": "/etc/fit"},
        {"name": "credentials", "mountPath": "/run/credentials", "readOnly": True},
        {"name": "ca", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        {"name": "info", "mountPath": "/info"},
    ]
    came_with = {
        "configMaps": [{"metadata": {"name": "cm"}, "data": {"a.cfg": "x = 1\n"}}],
        "secrets": [{"metadata": {"name": "token"}, "data": {"grid": "c2VjcmV0"}}],
        "projectedvolumemaps": [
            {"metadata": {"name": "ca"}, "data": {"ca.crt": certificate}}
        ],
    }
    pod = site(
        "sh", "-c",
        "cat /etc/fit/deep/a.cfg; cat $CREDENTIALS_DIRECTORY/grid; echo; "
        "stat -c %a /run/credentials/grid; cat /info/labels; echo; cat /info/cpus; "
        "echo; cat /var/run/secrets/kubernetes.io/serviceaccount/ca.crt; "
        "ls /etc/passwd",
        person=person, volumes=volumes, mounts=mounts, came_with=came_with,
    )  # fmt: skip
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.log() + str(pod.done)
    expected = (
        f'x = 1\nsecret\n400\napp="fit"\n{os.cpu_count()}\n{certificate}/etc/passwd\n'
    )
    assert pod.log() == expected


def test_a_signal_reaches_the_job_through_the_sandbox(site, person):
    pod = site(
        "python", "-uc",
        "import signal, sys, time\n"
        "def stop(*_): print('saving'); time.sleep(0.3); print('saved'); sys.exit(4)\n"
        "signal.signal(signal.SIGTERM, stop); print('here')\n"
        "while True: time.sleep(0.05)",
        person=person,
    )  # fmt: skip
    wrapper = pod.start(user=person)
    pod.wait_for_log("here")
    wrapper.send_signal(signal.SIGTERM)
    assert wrapper.wait(60) == ExitCode.FAILED
    assert pod.log() == "here\nsaving\nsaved\n"
    assert pod.ended()["exitCode"] == 4


def test_a_signal_for_every_process_of_the_job_leaves_it_its_grace(site, person):
    """Some schedulers signal them all: the sandbox's own outer process dies of it."""
    pod = site(
        "python", "-uc",
        "import signal, sys, time\n"
        "def stop(*_): time.sleep(0.5); print('saved'); sys.exit(4)\n"
        "signal.signal(signal.SIGTERM, stop); print('here')\n"
        "while True: time.sleep(0.05)",
        person=person,
    )  # fmt: skip
    wrapper = pod.start(user=person)
    pod.wait_for_log("here")
    every = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(wrapper.pid)], capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    shim = int(every[0])
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(shim)], capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    for pid in [wrapper.pid, shim, *map(int, children)]:
        os.kill(pid, signal.SIGTERM)
    assert wrapper.wait(60) == ExitCode.FAILED
    assert "saved" in pod.log()


def test_what_does_not_exist_is_said(site, person):
    pod = site("no-such-program", person=person)
    assert pod.run(user=person) == ExitCode.FAILED
    assert pod.ended()["reason"] == "ContainerCannotRun"
    assert "no-such-program" in pod.ended()["message"]


def test_exit_codes_and_signals_come_through(site, person):
    for number, (script, code) in enumerate([("exit 42", 42), ("kill -9 $$$$", 137)]):
        pod = site("sh", "-c", script, person=person, uid=f"u{number}")
        assert pod.run(user=person) == ExitCode.FAILED
        assert pod.ended()["exitCode"] == code


def test_an_unpacked_image_is_its_root(site, place, person):
    image = place / "image"
    for name in ("bin", "lib", "lib64", "usr/lib", "usr/bin", "opt"):
        (image / name).mkdir(parents=True)
    (image / "opt" / "marker").write_text("of the image\n")
    subprocess.run(["cp", "-L", "/bin/dash", image / "bin" / "sh"], check=True)
    subprocess.run(["cp", "-L", "/bin/cat", image / "bin" / "cat"], check=True)
    for library in ("libc.so.6",):
        source = f"/lib/x86_64-linux-gnu/{library}"
        subprocess.run(["cp", "-L", source, image / "lib"], check=True)
    subprocess.run(
        ["cp", "-L", "/lib64/ld-linux-x86-64.so.2", image / "lib64"], check=True
    )
    pod = site("/bin/sh", "-c", "cat /opt/marker data.txt", person=person)
    document = json.loads(pod.folder.pod.read_text())
    main = document["pod"]["spec"]["containers"][0]
    main["image"] = str(image)
    main["env"].append({"name": "LD_LIBRARY_PATH", "value": "/lib"})
    pod.folder.pod.write_text(json.dumps(document))
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.log()
    assert pod.log() == "of the image\nfrozen\n"


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.06, 0.09, 0.12, 0.16, 0.2, 0.3])
def test_a_wrapper_killed_at_any_step_runs_the_job_once(site, project, person, delay_s):
    pod = site(
        "python", "-c",
        "import time, fitter; open('runs', 'a').write('run\\n'); time.sleep(0.2);"
        "fitter.run(); print('end')",
        person=person,
    )  # fmt: skip
    wrapper = pod.start(user=person)
    time.sleep(delay_s)
    wrapper.send_signal(signal.SIGKILL)
    wrapper.communicate()
    assert pod.run(user=person) == ExitCode.SUCCEEDED, pod.stderr
    packed = outputs(pod)
    assert packed["working/runs"] == b"run\n"
    assert packed["working/results/fit.txt"] == b"chi2 = 1\n"
    assert pod.log().endswith("end\n")
