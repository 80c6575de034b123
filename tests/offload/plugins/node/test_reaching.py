"""Ways to a repository that are closed, silent, or not for this node."""

import contextlib
import http.server
import socket
import threading

import pytest

from offload.cache.reading.settings import RepositorySettings
from offload.plugins.node.reaching import why_unreachable

ORIGIN = "http://origin.invalid/cvmfs/a.b"


@contextlib.contextmanager
def squid(status):
    """A proxy that has one answer; yields its address and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def silent():
    """A proxy that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def dropping():
    """A proxy to which packets are lost on their way: the kernel drops a full queue's."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(
            socket.create_server(("127.0.0.1", 0), backlog=0)
        )
        stack.enter_context(socket.create_connection(listening.getsockname()))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def closed():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


def settings(*proxies, urls=(ORIGIN,)):
    return RepositorySettings(
        fqrn="a.b", urls=urls, proxies=proxies, master_keys=["/key"]
    )


@pytest.mark.parametrize(
    ("way", "reason"),
    [(silent, "timed out"), (dropping, "timed out"), (closed, "refused")],
)
def test_a_squid_that_does_not_answer_is_named_with_the_reason(way, reason):
    with way() as proxy:
        problem = why_unreachable(settings(proxy), 0.1)
    assert problem.startswith(f"{ORIGIN} through {proxy}: ")
    assert reason in problem
    assert len(problem.splitlines()) == 1


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_squid_that_says_anything_of_the_repository_is_a_way(status):
    with closed() as first, squid(status) as (proxy, asked):
        assert why_unreachable(settings(first, proxy)) == ""
    assert asked == [f"{ORIGIN}/.cvmfspublished"]


@pytest.mark.parametrize("status", [403, 407])
def test_a_squid_that_is_not_for_this_node_is_none(status):
    with squid(status) as (proxy, _):
        problem = why_unreachable(settings(proxy))
    assert problem == f"{ORIGIN} through {proxy}: answers {status} to this node"


def test_an_origin_may_be_reached_without_a_squid():
    with squid(200) as (origin, asked):
        assert why_unreachable(settings(urls=(f"{origin}/cvmfs/a.b",))) == ""
    assert asked == ["/cvmfs/a.b/.cvmfspublished"]


def test_of_ways_that_are_silent_none_takes_the_time_of_one_that_answers():
    with squid(200) as (proxy, asked), silent() as one, silent() as another:
        assert why_unreachable(settings(one, another, proxy), 0.3) == ""
    assert asked
