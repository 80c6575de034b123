"""Secrets are found, said by their place, never shown; and nothing else is flagged.

Every secret here is made up while the test runs: none is in this file.
"""

from __future__ import annotations

import base64
import json
import random
import string
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from offload.snapshot.cuts import Group
from offload.snapshot.environments.cutting import cut
from offload.snapshot.secrets.finding import Finding, SecretsFoundError
from offload.snapshot.secrets.searching import find

HEX = "0123456789abcdef"
WORD = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
DASHES = "-" * 5

Plant = Callable[[random.Random], str]


def text(chance: random.Random, length: int, letters: str = WORD) -> str:
    return "".join(chance.choice(letters) for _ in range(length))


def pem(kind: str) -> Plant:
    def plant(chance: random.Random) -> str:
        body = base64.b64encode(chance.randbytes(600)).decode()
        lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
        ends = (f"{DASHES}{what} {kind}{DASHES}" for what in ("BEGIN", "END"))
        return f"\n{lines}\n".join(ends) + "\n"

    return plant


def jwt(chance: random.Random) -> str:
    header = base64.urlsafe_b64encode(b'{"kid":"rsa1","alg":"RS256"}').decode()
    claims = base64.urlsafe_b64encode(chance.randbytes(90)).decode()
    return ".".join(part.rstrip("=") for part in (header, claims, text(chance, 80)))


def after(start: str, length: int, letters: str = WORD, end: str = "") -> Plant:
    return lambda chance: f"{start}{text(chance, length, letters)}{end}\n"


def google_account(chance: random.Random) -> str:
    key = pem("PRIVATE KEY")(chance)
    return json.dumps({"type": "service_account", "private_key": key}, indent=1)


def docker(chance: random.Random) -> str:
    pair = base64.b64encode(f"me:{text(chance, 12)}".encode()).decode()
    return json.dumps({"auths": {"registry.example.org": {"auth": pair}}})


def kubeconfig(chance: random.Random) -> str:
    data = base64.b64encode(chance.randbytes(300)).decode()
    return f"kind: Config\nusers:\n- user:\n    client-key-data: {data}\n"


def oidc(chance: random.Random) -> str:
    return json.dumps({"refresh_" + "token": text(chance, 60)})


PLANTED: dict[str, tuple[str, Plant, int | None]] = {
    "OpenSSH key": ("id_ed25519", pem("OPENSSH PRIVATE KEY"), 1),
    "RSA key": ("my.key", pem("RSA PRIVATE KEY"), 1),
    "EC key": ("ec.pem", pem("EC PRIVATE KEY"), 1),
    "PKCS 8 key": ("userkey.pem", pem("PRIVATE KEY"), 1),
    "key with a passphrase": ("userkey.pem", pem("ENCRYPTED PRIVATE KEY"), 1),
    "PGP key": ("mine.asc", pem("PGP PRIVATE KEY BLOCK"), 1),
    "grid proxy": (
        "x509up_u1000",
        lambda c: pem("CERTIFICATE")(c) + pem("RSA PRIVATE KEY")(c),
        16,
    ),
    "PKCS 12": ("usercert.p12", lambda _: "\x30\x82\x0a\x00", None),
    "JupyterHub token": ("env.sh", after("export JUPYTERHUB_API_TOKEN=", 32, HEX), 1),
    "Jupyter URL": ("notes.md", after("http://127.0.0.1:8888/lab?token=", 48, HEX), 1),
    "Jupyter header": (
        "call.py",
        after("h = {'Authorization': 'token ", 32, HEX, "'}"),
        1,
    ),
    "cookie secret": ("jupyterhub_cookie_secret", after("", 64, HEX), None),
    "netrc": (".netrc", after("machine x.org login me password ", 12), 1),
    "pgpass": (".pgpass", after("db.x.org:5432:runs:me:", 12), 1),
    "AWS key id": ("config.ini", after("id = AKIA", 16, UPPER), 1),
    "AWS secret key": ("credentials", after("aws_secret_access_key = ", 40), 1),
    "boto": (".boto", after("gs_secret_access_key = ", 40), 1),
    "GCP account": ("account.json", google_account, 3),
    "Google API key": ("a.py", after("key = 'AIza", 35, WORD, "'"), 1),
    "Azure storage": (
        "a.py",
        after("c = 'AccountName=x;AccountKey=", 86, WORD, "=='"),
        1,
    ),
    "Azure signature": (
        "a.txt",
        after("https://x.blob.core.windows.net/a?sv=2022&sig=", 46, WORD),
        1,
    ),
    "kubeconfig": ("config", kubeconfig, 4),
    "docker login": ("config.json", docker, 1),
    "npm token": (".npmrc", after("//registry.npmjs.org/:_authToken=", 36), 1),
    "PyPI token": ("a.sh", after("twine -p pypi-AgEIcHlwaS5vcmc", 80), 1),
    "PyPI password": (".pypirc", after("[pypi]\npassword = ", 14), 2),
    "Rucio password": ("rucio.cfg", after("[client]\npassword = ", 10), 2),
    "Rucio token": ("auth_token_for_me", after("me-/DC=ch/CN=me-unknown-", 32, HEX), 1),
    "WLCG token": ("bt_u1000", jwt, 1),
    "OIDC token": ("token.json", oidc, 1),
    "bearer token in code": ("a.py", lambda c: f"t = '{jwt(c)}'\n", 1),
    "GitHub token": ("a.sh", after("x=ghp_", 36), 1),
    "GitHub token by its name": (
        "a.py",
        after("github_token = 'ghp_", 36, WORD, "'  # my secret password"),
        1,
    ),
    "AWS key id by its name": (
        "a.py",
        after("aws_secret = {'token': 'ASIA", 16, UPPER, "'}"),
        1,
    ),
    "fine GitHub token": ("a.sh", after("x=github_pat_", 80), 1),
    "GitLab token": ("a.sh", after("x=glpat-", 20), 1),
    "Slack token": ("a.py", after("t='xoxb-2834756120-", 24, WORD, "'"), 1),
    "Hugging Face token": ("a.py", after("t='hf_", 34, string.ascii_letters, "'"), 1),
    "OpenAI key": ("a.py", after("t='sk-proj-", 60, WORD, "'"), 1),
    "Anthropic key": ("a.py", after("t='sk-ant-api03-", 90, WORD, "'"), 1),
    "Vault token": (".vault-token", after("hvs.", 90), 1),
    "age key": ("key.txt", after("AGE-SECRET-KEY-1", 58, UPPER), 1),
    "git credentials": (
        ".git-credentials",
        after("https://me:", 16, WORD, "@git.org"),
        1,
    ),
    "password in a URL": (
        "a.py",
        after("url='postgresql://me:", 16, WORD, "@db/x'"),
        1,
    ),
    "dot env": (".env", after("# mine\nDB_PASSWORD=", 16), 2),
    "password in code": ("a.py", after("db_passw" + "ord = 'Zq7", 12, UPPER, "'"), 1),
    "MySQL": (".my.cnf", after("[client]\npassword=", 12), 2),
    "rclone": ("rclone.conf", after("[cern]\npass = ", 30), 2),
    "key table": ("me.keytab", lambda _: "\x05\x02\x00\x00\x00", None),
    "Kerberos ticket": ("krb5cc_1000", lambda _: "\x05\x04\x00\x0c", None),
}


@pytest.mark.parametrize("shape", PLANTED)
def test_a_planted_secret_is_found_and_its_place_is_said(shape):
    name, plant, line = PLANTED[shape]
    for seed in range(5):
        content = plant(random.Random(seed)).encode("latin-1")
        found = find(f"sub/{name}".encode(), content)
        assert [finding.line for finding in found] == [line], content


@pytest.mark.parametrize("shape", PLANTED)
def test_a_secret_is_never_shown(shape):
    name, plant, _ = PLANTED[shape]
    content = plant(random.Random(1))
    said = str(SecretsFoundError(find(name.encode(), content.encode("latin-1"))))
    pieces = {content[at : at + 12] for at in range(max(len(content) - 12, 1))}
    assert not any(piece in said for piece in pieces)
    assert "\n" not in said


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"cells": cells, "nbformat": 4}).encode()


def test_in_a_notebook_cell_and_line_are_said():
    url = after("http://h/?token=", 48, HEX)(random.Random(1))
    cells = (
        {"cell_type": "markdown", "source": ["# Title\n"]},
        {"cell_type": "code", "source": ["import os\n", f"u = '{url.strip()}'"]},
        {
            "cell_type": "code",
            "source": "print()",
            "outputs": [
                {"output_type": "stream", "text": ["hello\n", "you\n", url]},
                {"output_type": "display_data", "data": {"text/html": [f"<a {url}"]}},
                {"output_type": "error", "traceback": ["\x1b[31mno\x1b[0m", url]},
                {"output_type": "display_data", "data": {"image/png": url}},
            ],
        },
    )
    assert [str(each) for each in find(b"a.ipynb", notebook(*cells))] == [
        "a.ipynb: cell 2, line 2: Jupyter token",
        "a.ipynb: output of cell 3, line 3: Jupyter token",
        "a.ipynb: output of cell 3, line 1: Jupyter token",
        "a.ipynb: output of cell 3, line 2: Jupyter token",
    ]


@pytest.mark.parametrize(
    "content", [b"[]", b"{", b'{"cells": 3}', b'{"cells": [null, {"source": 1}]}']
)
def test_what_is_no_notebook_is_read_as_text(content):
    assert find(b"a.ipynb", content) == []


def test_a_secret_in_a_broken_notebook_is_found():
    url = after("?token=", 48, HEX)(random.Random(1))
    assert find(b"a.ipynb", b"{\n" + url.encode())[0].line == 2


INNOCENT = {
    "a header alone": f"if line == '{DASHES}BEGIN RSA PRIVATE KEY{DASHES}':\n",
    "a public key": f"{DASHES}BEGIN PUBLIC KEY{DASHES}\n{'MIIB' * 60}\n",
    "a certificate": f"{DASHES}BEGIN CERTIFICATE{DASHES}\n{'MIIB' * 60}\n",
    "an example": "aws_access_key_id = AKIAIOSFODNN7" + "EXAMPLE\n",
    "a variable": "password = os.environ['DB_PASSWORD']\n",
    "a template": "url = 'postgresql://{user}:{password}@{host}/db'\n",
    "a shell variable": "curl https://me:$PASSWORD@host/ -H 'Authorization: token $T'\n",
    "asterisks": "password = '****************'\n",
    "a label": "password_label = 'Enter your password here'\n",
    "a name": "token = 'jupyterhub-session-id'\n",
    "a path": "secret = '/run/secrets/db_password_1'\n",
    "a digest": "sha256 = '" + "0123456789abcdef" * 4 + "'\n",
    "a commit": "commit 3f786850e387550fdab836ed7e6dc881de23001b\n",
    "a run number": "dataset = 'data18_13TeV:DAOD_PHYSLITE.37773721._000123'\n",
    "a URL with a port": "http://user.example.org:8888/@me\n",
    "a PyPI page": "https://pypi.org/project/uproot/\n",
    "an unsigned token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9." + "a" * 30 + "\n",
    "histogram": json.dumps([random.Random(3).random() for _ in range(500)]),
    "base64": base64.b64encode(random.Random(3).randbytes(5000)).decode(),
}


@pytest.mark.parametrize("what", INNOCENT)
@pytest.mark.parametrize("name", ["a.py", "a.ini", "config.json", ".env", ".netrc"])
def test_nothing_innocent_is_flagged(what, name):
    assert find(name.encode(), INNOCENT[what].encode()) == []


def test_a_line_that_says_it_is_allowed_is(tmp_path):
    line = after("url='postgresql://me:", 16, WORD, "@db/x'")(random.Random(1)).strip()
    allowed = f"{line}  # pragma: allowlist secret\n"
    assert find(b"a.py", allowed.encode()) == []
    assert find(b"a.py", f"{allowed}{line}\n".encode())[0].line == 2


def test_binaries_are_not_text():
    url = after("?token=", 48, HEX)(random.Random(1)).encode()
    assert find(b"a.root", b"root\0" + url) == []


def test_many_secrets_of_one_file_are_one_mistake():
    line = after("?token=", 48, HEX)(random.Random(1))
    assert len(find(b"a.log", (line * 1000).encode())) == 20


def test_many_findings_are_said_in_one_line():
    findings = [Finding(f"f{n}".encode(), "key", n) for n in range(1, 9)]
    said = str(SecretsFoundError(findings))
    assert said.startswith("f1:1: key; f2:2: key")
    assert "and 3 more" in said
    assert "--allow" in said


def test_a_name_of_any_bytes_can_be_said():
    assert str(Finding(b"a\xff\nb", "key", 1)) == r"a\udcff\nb:1: key"


def test_nothing_is_flagged_in_this_environment_and_its_notebooks():
    # The environment of these tests: some two hundred packages from an index.
    (env,) = (part for part in cut(Path(sys.prefix)).parts if part.role == "env")
    recorded = sum(group.is_recorded for group in env.groups)
    assert recorded > 100
    assert isinstance(env.groups[0], Group)
    assert _flagged(env.mount, env.unrecorded) == []
    root = Path(__file__).parents[4]
    notebooks = [path for path in (root / "notebooks").rglob("*") if path.is_file()]
    assert notebooks
    names = [str(path.relative_to(root)).encode() for path in notebooks]
    assert _flagged(root, names) == []


def _flagged(root: Path, paths: list[bytes] | tuple[bytes, ...]) -> list[Finding]:
    places = ((path, root / path.decode()) for path in paths)
    return [
        finding
        for path, place in places
        if place.is_file()
        for finding in find(path, place.read_bytes())
    ]


@pytest.mark.parametrize(
    "piece",
    ["eyJaaaaaaaaaaaaaaaa-", "?sig=", "glpat-", "aws", "\n ", "-unknown-a-/", "://a:"],
)
def test_text_that_almost_matches_takes_no_longer_than_other_text(piece):
    # Where a rule starts over at every place, this does not end in the tests' time.
    needles = "secret_key current-context AKIA "
    content = (piece * (2**20 // len(piece)) + needles).encode()
    assert len(find(b"a.txt", content)) <= 20
