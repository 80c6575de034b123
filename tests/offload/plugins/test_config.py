from pathlib import Path

import pytest

from facility.errors import ExitCode
from offload.plugins.config import ExecutorKind, PluginConfig, load_config
from offload.plugins.errors import ConfigError


def test_all_of_it_has_defaults(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = PluginConfig()
    assert config.executor is ExecutorKind.PROCESS
    assert config.work == tmp_path / "analysis-facility/site"
    assert config.socket_path == config.work / "plugin.sock"


def test_a_file(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(
        "executor: slurm\nwork: /work/area\nslices: {1g.5gb: 'gpu:a100_1g.5gb'}\n"
        "slurm: {partition: gpu, flags: [--account=physics], tick: 10 s}\n"
        "limits: {memory: 64 GiB, time: 2 d}\nretention: {logs: 7 d}\n"
    )
    config = load_config(file)
    assert config.executor is ExecutorKind.SLURM
    assert config.work == Path("/work/area")
    assert config.slurm.tick == 10
    assert config.limits.memory == 64 * 2**30
    assert config.retention.logs == 7 * 86400


def test_a_repository(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text(
        "repository: {fqrn: a.example.org, urls: ['http://h/cvmfs/a.example.org/'],\n"
        "  proxies: ['http://squid:3128'], keys: [/etc/a.pub], quota: 5 GiB}\n"
    )
    repository = load_config(file).repository
    assert repository is not None
    reading = repository.reading()
    assert reading is not None
    assert reading.urls == ("http://h/cvmfs/a.example.org",)
    assert reading.master_keys == (Path("/etc/a.pub"),)
    assert reading.quota_bytes == 5 * 2**30
    assert reading.report is None
    assert repository.is_lazy
    file.write_text(file.read_text().replace("quota", "lazy: never, quota"))
    assert not load_config(file).repository.is_lazy
    file.write_text("repository: {fqrn: a.b, mount: /cvmfs/a.b}")
    repository = load_config(file).repository
    assert repository is not None
    assert repository.reading() is None
    assert not repository.is_lazy  # it need not be


def test_an_empty_file_is_all_defaults(tmp_path):
    file = tmp_path / "site.yaml"
    file.touch()
    assert load_config(file) == PluginConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "executr: slurm",
            "1:1: executr: unknown key; expected one of site, executor,",
        ),
        (
            "slurm: {partiton: x}",
            "1:9: slurm.partiton: unknown key; expected one of partition, flags, ",
        ),
        ("work: here", "1:7: work: expected an absolute path, got 'here'"),
        ("slurm: {tick: soon}", "slurm.tick: expected a duration such as '30 min'"),
        (
            "limits: {cpus: 0}",
            "1:16: limits.cpus: out of range; expected at least 1, got 0",
        ),
        (
            "executor: pbs",
            "1:11: executor: unknown value; expected 'process' or 'slurm', got 'pbs'",
        ),
        (
            "repository: {fqrn: a.b}",
            "repository: expected 'mount', or 'urls' and 'keys', got neither",
        ),
        (
            "repository: {fqrn: a.b, urls: [http://h/x]}",
            "repository: urls: expected 'keys' too, got none",
        ),
        (
            "repository: {fqrn: a.b, mount: cvmfs}",
            "repository.mount: expected an absolute path, got 'cvmfs'",
        ),
        (
            "repository: {fqrn: ../x, urls: [http://h/x], keys: [/k]}",
            "repository: fqrn: expected a name such as images.example.org",
        ),
        (
            "repository: {fqrn: a.b, mont: /cvmfs}",
            "got 'mont'; did you mean 'mount'?",
        ),
        ("[]", "1:1: wrong type; expected a mapping, got a list"),
        ("a: [", "expected YAML, got an error"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, words):
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{file}:1:")
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_config(tmp_path / "none.yaml")
