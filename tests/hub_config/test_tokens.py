import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hub_config.tokens import LONGEST_TOKEN, login_url, mint, redeem

NOW = 1_000_000.0


def test_a_token_names_its_user_once(tmp_path):
    token = mint(tmp_path, "anna", now=NOW)
    assert redeem(tmp_path, token, now=NOW + 1) == "anna"
    assert redeem(tmp_path, token, now=NOW + 1) is None


@pytest.mark.parametrize(
    ("age_s", "user"), [(0, "anna"), (59.9, "anna"), (60, None), (1e6, None)]
)
def test_a_token_works_until_it_expires(tmp_path, age_s, user):
    token = mint(tmp_path, "anna", now=NOW, lifetime_s=60)
    assert redeem(tmp_path, token, now=NOW + age_s) == user


def test_an_expired_token_is_gone_after_the_attempt(tmp_path):
    token = mint(tmp_path, "anna", now=NOW, lifetime_s=60)
    redeem(tmp_path, token, now=NOW + 61)
    assert redeem(tmp_path, token, now=NOW) is None


def test_tokens_of_two_users_do_not_mix(tmp_path):
    tokens = {user: mint(tmp_path, user, now=NOW) for user in ("anna", "bert")}
    assert tokens["anna"] != tokens["bert"]
    assert redeem(tmp_path, tokens["bert"], now=NOW) == "bert"
    assert redeem(tmp_path, tokens["anna"], now=NOW) == "anna"


def test_the_token_itself_is_in_no_file(tmp_path):
    token = mint(tmp_path, "anna", now=NOW)
    for path in (tmp_path / "login").iterdir():
        assert token not in path.name
        assert token not in path.read_text()


def test_nobody_else_can_look(tmp_path):
    mint(tmp_path, "anna", now=NOW)
    folder = tmp_path / "login"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()] == [0o600]


@pytest.mark.parametrize(
    "forged",
    [
        "",
        ".",
        "..",
        "../../hub-cookie",
        "/etc/passwd",
        "login/../../secret",
        "a\0b",
        "\udcff",
        "x" * (LONGEST_TOKEN + 1),
        "anna",
    ],
)
def test_what_is_no_token_opens_nothing_and_touches_no_file(tmp_path, forged):
    secret = tmp_path / "hub-cookie"
    secret.write_text('{"user": "anna", "expires": 9e99}')
    mint(tmp_path, "anna", now=NOW)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    assert redeem(tmp_path, forged, now=NOW) is None
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_the_name_of_a_token_file_is_no_token(tmp_path):
    mint(tmp_path, "anna", now=NOW)
    (path,) = (tmp_path / "login").iterdir()
    assert redeem(tmp_path, path.name, now=NOW) is None


def test_without_any_token_made_nothing_opens(tmp_path):
    assert redeem(tmp_path, "anything", now=NOW) is None


def test_a_damaged_file_opens_nothing(tmp_path):
    token = mint(tmp_path, "anna", now=NOW)
    (path,) = (tmp_path / "login").iterdir()
    path.write_text('{"user": "anna"')
    assert redeem(tmp_path, token, now=NOW) is None


def test_minting_sweeps_what_has_expired_and_nothing_else(tmp_path):
    mint(tmp_path, "anna", now=NOW, lifetime_s=10)
    good = mint(tmp_path, "anna", now=NOW, lifetime_s=1000)
    mint(tmp_path, "anna", now=NOW + 11)
    assert len(list((tmp_path / "login").iterdir())) == 2
    assert redeem(tmp_path, good, now=NOW + 12) == "anna"


def test_of_many_threads_one_wins(tmp_path):
    for _ in range(20):
        token = mint(tmp_path, "anna", now=NOW)
        line = threading.Barrier(8)
        won: list[str | None] = []

        def attempt(token=token, line=line, won=won):
            line.wait()
            won.append(redeem(tmp_path, token, now=NOW))

        threads = [threading.Thread(target=attempt) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won, key=str) == [None] * 7 + ["anna"]


_ATTEMPT = """
import sys
from pathlib import Path
from hub_config.tokens import redeem
print("ready", flush=True)
for token in sys.stdin.read().split():
    print(redeem(Path(sys.argv[1]), token, now=1_000_000.0))
"""


def test_of_two_processes_one_wins_each_token(tmp_path: Path):
    tokens = [mint(tmp_path, "anna", now=NOW) for _ in range(200)]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _ATTEMPT, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n".join(tokens))
        racer.stdin.close()
    results = [racer.stdout.read().split() for racer in racers]
    for racer in racers:
        racer.stdout.close()
        assert racer.wait() == 0
    for answers in zip(*results, strict=True):
        assert sorted(answers) == ["None", "anna"]


def test_the_link_leads_through_the_proxy_to_the_login(runtime):
    url = login_url(runtime, "a-b_c")
    assert url == "http://127.0.0.1:8000/hub/login?token=a-b_c"
