"""A Swift proxy with our filters says so."""

from swift.common import registry

from s3shunt import __version__
from s3shunt.swift import info


def test_info_has_our_section():
    assert info.register(doors=["shunt"])
    section = registry.get_swift_info()["s3shunt"]
    assert section["doors"] == ["shunt"]
    assert section["version"] == __version__
