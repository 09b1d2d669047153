"""A Swift proxy with our filters says so."""

from swift.common import registry

from s3shunt.swift import info


def test_info_has_our_section_without_dots_in_it():
    assert info.register(doors=["shunt"])
    section = registry.get_swift_info()["s3shunt"]
    assert section["doors"] == ["shunt"]
    assert "." not in section["version"]
