"""Eventlet's own server under our applications; its requests on sockets: ``test_listen``, with ``front = stock``."""

import logging

from s3shunt.server.stock import Quiet


def test_what_eventlet_tells_is_there_for_who_looks(caplog):
    caplog.set_level(logging.DEBUG)
    Quiet().write("a client %s\n", "left")
    Quiet().error("again\n")
    assert caplog.messages == ["a client left", "again"]
