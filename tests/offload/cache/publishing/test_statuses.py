"""What is told of images while the publisher is at work."""

from __future__ import annotations

import pytest

from offload.cache.publishing.images import PUBLIC
from offload.cache.publishing.pins import Pins
from offload.cache.publishing.references import Reference
from offload.cache.publishing.status import ImageState
from offload.cache.publishing.statuses import Statuses


def test_an_image_that_is_published_and_not_answered_for_yet_is_listed_once(
    bench, tmp_path, make_tar, make_image, monkeypatch
):
    image = make_image(make_tar(("a", b"1")), annotations={PUBLIC: "1"})
    bench.registry.push("env", "v1", image)
    bench.queue.ask([Reference("h", "env", "v1")], bench.now)
    pins = Pins(tmp_path / "pins.sqlite")
    statuses = Statuses(bench.shelf, bench.queue, pins)
    seen = []

    def answer(*_args, **_more):
        seen.extend(statuses.all())
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.queue, "answer", answer)
    with pytest.raises(KeyboardInterrupt):
        bench.publisher.step()
    pins.close()
    (status,) = seen
    assert (status.image, status.state) == (image.digest, ImageState.PUBLISHED)
    assert status.names == ("h/env:v1",)
