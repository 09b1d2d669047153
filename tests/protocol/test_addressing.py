"""Targets become refs, decoded once; what is ambiguous is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import ObjectRef
from s3shunt.protocol import addressing
from s3shunt.protocol.errors import BadRequest, InvalidBucketName, InvalidURI, KeyTooLongError

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(lambda key: len(key.encode()) <= 1024)


@given(key=KEYS)
def test_any_key_survives_its_way_through_a_target(key):
    assert addressing.path_style("/films/" + addressing.escape(key)) == ObjectRef("films", key)


@given(key=KEYS)
def test_a_copy_source_is_read_like_a_target(key):
    assert addressing.copy_source(f"films/{addressing.escape(key)}?versionId=v1") == ObjectRef("films", key, "v1")


@pytest.mark.parametrize(
    ("path", "ref"),
    [
        ("/", ObjectRef()),
        ("/films", ObjectRef("films")),
        ("/films/", ObjectRef("films")),
        ("/films//a", ObjectRef("films", "/a")),
        ("/films/a%2Fb", ObjectRef("films", "a/b")),
        ("/films/../x", ObjectRef("films", "../x")),
        ("/films/a+b", ObjectRef("films", "a+b")),
    ],
)
def test_keys_are_kept_as_written(path, ref):
    assert addressing.path_style(path) == ref


@pytest.mark.parametrize("path", ["films/a", "/films/%", "/films/%zz", "/films/%ff", "/films/%00"])
def test_what_cannot_be_read_is_refused(path):
    with pytest.raises(InvalidURI):
        addressing.path_style(path)


@pytest.mark.parametrize("bucket", ["-", "ab", "a..%2F", "-films", "films-", "fi%20lms", "x" * 256])
def test_bucket_names_that_no_store_would_take_are_refused(bucket):
    with pytest.raises(InvalidBucketName):
        addressing.path_style(f"/{bucket}/key")


def test_a_key_has_at_most_1024_bytes():
    addressing.path_style("/films/" + "é" * 512)
    with pytest.raises(KeyTooLongError):
        addressing.path_style("/films/" + "é" * 513)


@pytest.mark.parametrize(
    ("target", "expected"), [("/a?b", "/a?b"), ("http://h/a?b", "/a?b"), ("https://h", "/"), ("HTTP://h:80/x//y", "/x//y")]
)
def test_an_absolute_target_loses_its_authority(target, expected):
    assert addressing.origin_form(target) == expected


@pytest.mark.parametrize("target", ["*", "host:443", "ftp://h/a", ""])
def test_other_forms_of_target_are_refused(target):
    with pytest.raises(InvalidURI):
        addressing.origin_form(target)


def test_a_query_keeps_its_order_and_its_empty_values():
    assert addressing.query("uploads&a=1&a=2&b=c+d%2B&&") == [("uploads", ""), ("a", "1"), ("a", "2"), ("b", "c d+")]


def test_a_bucket_of_its_own_host_leaves_the_whole_path_to_the_key():
    assert addressing.host_style("films", "/a/b%20c", "v") == ObjectRef("films", "a/b c", "v")
    with pytest.raises(InvalidURI):
        addressing.host_style("films", "a")
    with pytest.raises(InvalidURI):
        addressing.copy_source("films")


@pytest.mark.parametrize(
    ("target", "authority"),
    [("/a", ""), ("http://Host:81/a", "host:81"), ("HTTPS://host", "host"), ("http://u@h?x", "u@h"), ("//host/a", ""), ("ftp://host/", "")],
)
def test_only_an_absolute_form_names_an_authority(target, authority):
    assert addressing.authority(target) == authority


@pytest.mark.parametrize("query", ["versionId=%00", "uploadId=a%00b", "%00=a", "prefix=a\x00", "X-Amz-Credential=AK%00/20200101"])
def test_no_parameter_holds_a_nul(query):
    """PostgreSQL refuses it in a text, wherever it may be looked for."""
    with pytest.raises(InvalidURI):
        addressing.query(query)
    with pytest.raises(InvalidURI):
        addressing.copy_source("films/a?versionId=%00")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("a", False), ("a/b", False), ("a/", False), ("a..b/.c", False), ("...", False), ("é/b c", False),
        ("a//b", True), ("/a", True), ("a//", True), ("/", True), ("./a", True), ("a/..", True), ("a/./b", True), ("a\\b", True),
    ],
)  # fmt: skip
def test_a_key_that_is_no_plain_path_may_be_taken_for_another(key, found):
    assert addressing.ambiguous(key) is found


@given(st.text("./\\a", max_size=8))
def test_and_no_other_key_may(key):
    named = key.removesuffix("/").split("/")
    assert addressing.ambiguous(key) is ("\\" in key or not {"", ".", ".."}.isdisjoint(named))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""), ("Films.S3.Example.ORG", "films.s3.example.org"), ("a.b.:8080", "a.b"), ("a.b:", "a.b"), ("localhost", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"), ("[::1]", "[::1]"), ("[2001:DB8:0::1]:8080", "[2001:db8::1]"),
        ("xn--flms-eua.org", "xn--flms-eua.org"),
    ],
)  # fmt: skip
def test_a_host_is_compared_without_case_port_and_final_dot(text, name):
    assert addressing.hostname(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "a,b", "a b", " a", "a\t", "a..b", ".a", ".", "a:b", "a:65536", "::1", "[::1", "[::g]", "[1.2.3.4]", "[]", "u@h", "a/b", "a%2eb",
        "é.org", "\u212a.org", "١.org", "a\n", f"{'a' * 64}.org", ".".join(["a" * 50] * 6),
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text):
    with pytest.raises(BadRequest):
        addressing.hostname(text)


@given(st.lists(st.sampled_from(["a", "b", "films", "x-y", "s3"]), min_size=1, max_size=5), st.integers(1, 4), st.text("ab.-", max_size=3))
def test_a_domain_is_found_behind_whole_labels_only(labels, kept, glued):
    name, domain = ".".join(labels), ".".join(labels[-kept:])
    assert addressing.under(name, [domain]) == (".".join(labels[:-kept]), domain)
    other = f"{glued}{domain}"
    expected = (glued[:-1], domain) if glued.endswith(".") else ("", domain) if not glued else None
    assert addressing.under(other, [domain]) == expected


def test_the_longest_domain_wins():
    assert addressing.under("films.eu.s3.org", ["s3.org", "eu.s3.org", "u.s3.org"]) == ("films", "eu.s3.org")
    assert addressing.under("films.s3.org", []) is None
