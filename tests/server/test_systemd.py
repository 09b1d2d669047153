"""What systemd hands over, and what it is told."""

import socket

from s3shunt.server import systemd


def test_sockets_that_were_opened_for_us_are_taken_by_name_and_once():
    environ = {"LISTEN_FDS": "3", "LISTEN_PID": "7", "LISTEN_FDNAMES": "main:admin:main", "A": "b"}
    assert systemd.sockets(environ, 7) == {"main": [3, 5], "admin": [4]}
    assert environ == {"A": "b"}


def test_those_for_another_process_are_not():
    assert systemd.sockets({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, 7) == {}
    assert systemd.sockets({}, 7) == {}
    assert systemd.sockets({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7) == {"": [3]}


def test_the_manager_is_told_where_there_is_one(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        systemd.notify({"NOTIFY_SOCKET": path}, "READY=1", "MAINPID=7")
        assert manager.recv(100) == b"READY=1\nMAINPID=7"
    systemd.notify({"NOTIFY_SOCKET": path}, "READY=1")
    systemd.notify({}, "READY=1")
