"""The sockets in the wall stay small."""


import pytest

from s3shunt import ports

PORTS = [kind for kind in vars(ports).values() if getattr(kind, "_is_protocol", False) and kind.__module__ == ports.__name__]


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_a_port_asks_little(port):
    own = set(vars(port)) & {name for name in vars(port) if not name.startswith("_")}
    assert len(own) <= 9, sorted(own)


def test_an_archive_cannot_delete():
    assert not [name for name in vars(ports.Archive) if "delete" in name or "shred" in name]
