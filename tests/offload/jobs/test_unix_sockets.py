import os
import socket
import stat

import pytest

from offload.jobs.unix_sockets import connect, listener, listening


@pytest.mark.parametrize(("for_everybody", "mode"), [(False, 0o600), (True, 0o666)])
def test_who_sees_the_name_can_connect(
    for_everybody, mode, tmp_path, monkeypatch
) -> None:
    path = tmp_path / ("n" * 110) / "socket"  # longer than a socket's address
    path.parent.mkdir()
    seen = []
    listen = socket.socket.listen

    def slowly(self, backlog: int) -> None:
        seen.append(path.exists())
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", slowly)
    with listening(path, for_everybody=for_everybody):
        connect(path, 5).close()
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert listener(path, uid=os.geteuid()).pid == os.getpid()
    assert seen == [False]
    assert list(path.parent.iterdir()) == []
