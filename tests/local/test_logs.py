import os
import subprocess
import sys

from facility.local.logs import last_lines, log_file, open_log, rotate


def test_a_small_log_is_left_alone(tmp_path):
    path = log_file(tmp_path, "hub")
    path.write_text("one\n")
    assert not rotate(path, max_bytes=100, count=3)
    assert not rotate(log_file(tmp_path, "absent"), max_bytes=1, count=3)
    assert [p.name for p in tmp_path.iterdir()] == ["hub.log"]


def test_only_count_rotated_files_are_kept(tmp_path):
    path = log_file(tmp_path, "hub")
    for number in range(5):
        path.write_text(f"{number}\n")
        assert rotate(path, max_bytes=1, count=2)
    contents = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert contents == {"hub.log": "", "hub.log.1": "4\n", "hub.log.2": "3\n"}


def test_one_rotated_file(tmp_path):
    path = log_file(tmp_path, "hub")
    for number in range(3):
        path.write_text(f"{number}\n")
        rotate(path, max_bytes=1, count=1)
    contents = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert contents == {"hub.log": "", "hub.log.1": "2\n"}


def test_logs_are_private(tmp_path):
    path = log_file(tmp_path, "hub")
    os.close(open_log(path))
    path.write_text("x")
    rotate(path, max_bytes=1, count=1)
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}


def test_a_running_writer_goes_on_at_the_new_end(tmp_path):
    """No holes (a writer that does not append would leave zeros), nothing lost."""
    path = log_file(tmp_path, "hub")
    output = open_log(path)
    program = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=output,
        text=True,
        bufsize=1,
    ) as writer:
        os.close(output)
        assert writer.stdin is not None
        total = 0
        rotated = ""
        for number in range(40):
            text = f"line {number}\n"
            writer.stdin.write(text)
            total += len(text)
            while len(rotated) + path.stat().st_size < total:
                pass
            if number % 10 == 9:
                rotate(path, max_bytes=1, count=9)
                rotated += log_file(tmp_path, "hub").with_name("hub.log.1").read_text()
        writer.stdin.close()
    lines = (rotated + path.read_text()).splitlines()
    assert lines == [f"line {n}" for n in range(40)]


def test_last_lines(tmp_path):
    path = log_file(tmp_path, "hub")
    assert last_lines(path, 3) == []
    path.write_text("".join(f"{n} {'x' * 600}\n" for n in range(50)) + "a\nb\n")
    assert last_lines(path, 2) == ["a", "b"]
