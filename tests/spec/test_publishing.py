"""The publisher and the wish list: what is accepted, and each refusal's line."""

from pathlib import Path

import pytest

from facility.spec import SpecError, dumps, loads

DIRECTORY = Path("/etc/facility")


def test_a_publisher_with_registries_and_wishes():
    facility = loads(
        "publisher:\n"
        "  fqrn: images.example.org\n"
        "  networks: [192.0.2.0/24]\n"
        "  registries:\n"
        "  - {url: 'https://registry.example.org', credentials: robot,\n"
        "     repositories: [group/environments]}\n"
        "  poll: 5 min\n"
        "images: ['registry.example.org/group/root:6.*']\n",
        directory=DIRECTORY,
    )
    publisher = facility.publisher
    assert publisher is not None
    assert publisher.poll == 300
    assert publisher.registries[0].credentials == Path("/etc/facility/robot")
    assert (publisher.bind, publisher.port) == ("127.0.0.1", 8410)
    assert loads(dumps(facility), directory=DIRECTORY) == facility


def test_nothing_is_published_unless_the_file_says_so():
    assert loads("{}", directory=DIRECTORY).publisher is None
    assert loads("publisher: {}", directory=DIRECTORY).publisher is not None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("images: ['h/a:1']", "images: nothing publishes them; expected section"),
        ("publisher: {fqrn: a}", "expected a name such as images.example.org"),
        ("publisher: {fqrn: ../x.y}", "expected a name such as images.example.org"),
        ("publisher: {networks: [all]}", "expected a network such as 192.0.2.0/24"),
        ("publisher: {compression: 10}", "expected at most 9"),
        ("publisher: {poll: 0}", "expected more than 0"),
        ("publisher: {port: 0}", "expected at least 1"),
        ("publisher: {folde: x}", "did you mean"),
        (
            "publisher: {registries: [{url: 'ftp://x'}]}",
            "expected a registry such as https://registry.example.org",
        ),
        (
            "publisher: {registries: [{url: 'https://user:pass@x'}]}",
            "expected a registry such as https://registry.example.org",
        ),
        ("{publisher: {}, images: ['root']}", "expected an image such as"),
        ("{publisher: {}, images: ['h/../x:1']}", "expected an image such as"),
        ("{publisher: {}, images: ['h/Upper:1']}", "expected an image such as"),
    ],
)
def test_what_is_refused(text, part):
    with pytest.raises(SpecError) as caught:
        loads(text, directory=DIRECTORY)
    assert part in str(caught.value)
