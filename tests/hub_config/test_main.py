import os
import subprocess
import sys


def test_a_file_that_does_not_fit_is_one_line_and_exit_code_2(make_runtime):
    runtime = make_runtime(users={"allowed": ["anna", "bert"]})
    runtime.run_dir.mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "hub_config"],
        env=os.environ | {"FACILITY_RUNTIME": str(runtime.save())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "users.allowed names 'bert', but the facility runs as 'anna' and can start "
        "servers for that user only: run it as root or remove the name\n"
    )
