"""Listening sockets: opened, shared out, handed on."""

import os
import socket
import stat

import pytest

from s3shunt.server import sockets
from s3shunt.server.sockets import Inherited, Opened


@pytest.fixture
def one():
    opened = Opened([sockets.tcp(("127.0.0.1", 0))])
    yield opened
    for sock in opened.sockets:
        sock.close()


def test_an_address_has_one_socket_for_each_worker(one):
    one.widen(3)
    assert len({sock.getsockname() for sock in one.sockets}) == 1
    assert [one.of(worker, 3) for worker in range(3)] == [[sock] for sock in one.sockets]
    one.widen(2)
    assert len(one.sockets) == 3
    assert sorted(sock.fileno() for worker in range(2) for sock in one.of(worker, 2)) == sorted(sock.fileno() for sock in one.sockets)


def test_what_somebody_else_opened_is_shared(one):
    one.fixed = True
    one.widen(3)
    assert [one.of(worker, 3) for worker in range(3)] == [one.sockets] * 3


def test_a_successor_finds_the_same_sockets(one):
    one.widen(2)
    address = one.sockets[0].getsockname()[:2]
    environ = {sockets.KEPT: sockets.keep([(sockets.key("main", address), one)])}
    assert all(os.get_inheritable(sock.fileno()) for sock in one.sockets)
    numbers = [sock.detach() for sock in one.sockets]
    one.sockets.clear()
    environ[sockets.KEPT] += f";gone@127.0.0.1:1={os.open(os.devnull, os.O_RDONLY)}"
    inherited = Inherited.of(environ, 1)
    unwanted = inherited.by_name["gone@127.0.0.1:1"][0]
    assert environ == {}
    assert inherited.take("other", address) is None
    taken = inherited.take("main", address)
    assert [sock.fileno() for sock in taken.sockets] == numbers
    assert not os.get_inheritable(numbers[0])
    assert inherited.take("main", address) is None
    inherited.close()
    with pytest.raises(OSError):
        os.fstat(unwanted)
    for sock in taken.sockets:
        sock.close()


def test_what_systemd_opened_is_taken_by_name(one):
    number = one.sockets.pop().detach()
    inherited = Inherited(activated={"main": [number]})
    assert inherited.take("admin", ("127.0.0.1", 1)) is None
    taken = inherited.take("main", ("127.0.0.1", 1))
    assert taken.fixed
    taken.sockets[0].close()


def test_a_unix_socket_replaces_a_dead_one_and_no_other(tmp_path):
    path = tmp_path / "s"
    first = sockets.unix(path, 0o660)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(OSError):
        sockets.unix(path, 0o660)
    first.close()
    with sockets.unix(path, 0o600) as second:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert Opened([second]).of(3, 4) == [second]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    path.unlink()
    path.write_text("a file")
    with pytest.raises(OSError):
        sockets.unix(path, 0o660)
