"""Sites and offload: what is accepted, what it means, and each refusal's line."""

from datetime import date
from pathlib import Path

import pytest

from facility.spec import SiteKind, SpecError, loads

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0y anna@site"


def test_a_site_reached_by_ssh_and_one_that_dials_in():
    facility = loads(
        "sites:\n"
        "- {name: cluster, kind: slurm, host: login.example.org, port: 2200, user: an,\n"
        "   identity: ~/.ssh/id_cluster, partition: gpu, flags: [--account=physics],\n"
        "   slices: {1g.5gb: 'gpu:a100_1g.5gb'}}\n"
        f"- {{name: far, keys: [{{key: {KEY}, person: anna, expires: 2026-12-31}}]}}\n",
        directory=Path("/"),
    )
    cluster, far = facility.sites
    assert (cluster.kind, cluster.is_remote) == (SiteKind.SLURM, True)
    assert cluster.identity == "~/.ssh/id_cluster"
    assert cluster.slices == {"1g.5gb": "gpu:a100_1g.5gb"}
    assert far.is_remote
    assert far.keys[0].expires == date(2026, 12, 31)


def test_without_host_and_keys_it_is_this_machine():
    facility = loads("sites: [{name: batch, kind: slurm}]", directory=Path("/"))
    assert not facility.sites[0].is_remote


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            f"sites: [{{name: a, host: b, keys: [{{key: {KEY}}}]}}]",
            (
                "f:1:34: sites[0].keys: keys are for a site that dials in; expected none "
                "with host 'b', got 1"
            ),
        ),
        (
            "sites: [{name: here, host: b}]",
            (
                "f:1:16: sites[0].name: 'here' is this machine; expected another name with "
                "host or keys, got 'here'"
            ),
        ),
        (
            "sites: [{name: a, port: 22}]",
            (
                "f:1:25: sites[0].port: is for a site reached by SSH; expected host too, "
                "got none"
            ),
        ),
        (
            "sites: [{name: a, host: -oProxyCommand=x}]",
            (
                "f:1:25: sites[0].host: malformed; expected a host name or an address, got "
                "'-oProxyCommand=x'"
            ),
        ),
        (
            "sites: [{name: a, keys: [{key: secret}]}]",
            (
                "f:1:32: sites[0].keys[0].key: malformed; expected a public key such as "
                "'ssh-ed25519 AAAA...', got 'secret'"
            ),
        ),
        (
            f"sites: [{{name: a, keys: [{{key: {KEY}, expires: soon}}]}}]",
            (
                "f:1:93: sites[0].keys[0].expires: wrong type; expected a date such as "
                "2026-12-31, got 'soon'"
            ),
        ),
        (
            "sites: [{name: a, kind: lsf}]",
            (
                "f:1:25: sites[0].kind: unknown value; expected 'process' or 'slurm', got "
                "'lsf'"
            ),
        ),
        (
            "offload: {store: ftp://x}",
            (
                "f:1:18: offload.store: malformed; expected a registry such as "
                "https://registry.example.org/group/snapshots, got 'ftp://x'"
            ),
        ),
        (
            "offload: {jobs: ../elsewhere}",
            (
                "f:1:17: offload.jobs: malformed; expected a folder below the home "
                "directory such as jobs, got '../elsewhere'"
            ),
        ),
    ],
)
def test_each_mistake_is_one_line(text, line):
    with pytest.raises(SpecError) as caught:
        loads(text, "f", directory=Path("/"))
    assert str(caught.value) == line
