"""No page of an index outside leads to what lies inside."""

import pytest

from facility.environment.index_links import addresses_of, may_follow

HOSTS = {
    "pypi.org": ["151.101.0.223", "2a04:4e42::223"],
    "files.pythonhosted.org": ["151.101.0.223"],
    "mirror.local": ["10.0.0.7"],
    "both": ["151.101.0.223", "127.0.0.1"],
    "link-local": ["fe80::1%eth0"],
    "localhost": ["127.0.0.1", "::1"],
}
PYPI = "https://pypi.org/simple"


def follows(url, index=PYPI):
    return may_follow(url, index, lambda host: HOSTS.get(host, ()))


@pytest.mark.parametrize(
    "url",
    [
        "https://pypi.org/files/x.whl",
        "https://pypi.org:443/files/x.whl",
        "https://files.pythonhosted.org/x.whl",
        "https://only-a-proxy-knows.example.org/x.whl",
        "https://8.8.8.8/x.whl",
        "https://[2001:4860:4860::8888]/x.whl",
        "https://[64:ff9b::8.8.8.8]/x.whl",
    ],
)
def test_files_may_lie_on_other_hosts(url):
    assert follows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.pythonhosted.org/x.whl",
        "http://pypi.org/x.whl",
        "https://localhost/x.whl",
        "https://mirror.local/x.whl",
        "https://both/x.whl",
        "https://link-local/x.whl",
        "https://127.0.0.1:8000/x.whl",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.1.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://[fec0::1]/",
        "https://[64:ff9b::10.0.0.7]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[::1%25lo]/",
        "https://224.0.0.1/",
        "file:///etc/passwd",
        "ftp://pypi.org/x.whl",
        "https:///x.whl",
    ],
)
def test_what_lies_inside_is_not_asked(url):
    assert not follows(url)


def test_an_index_inside_may_lead_where_it_wants():
    for index in ("http://mirror.local/simple", "http://127.0.0.1:8080/simple"):
        assert follows("http://localhost:9/x.whl", index)
        assert follows("http://files.pythonhosted.org/x.whl", index)
        assert not follows("file:///etc/passwd", index)


def test_hosts_are_looked_up_and_what_is_none_has_no_address():
    assert "127.0.0.1" in addresses_of("127.0.0.1")
    assert "127.0.0.1" in addresses_of("2130706433")
    assert addresses_of("no host\udcff") == ()
