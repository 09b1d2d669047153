"""Headers by their names, however they are spelled."""

import pytest

from s3shunt.testing.client import environ
from s3shunt.wsgi.fields import Fields


def fields(**given):
    return Fields(environ("PUT", "/films/a", b"abc", {name.replace("_", "-"): value for name, value in given.items()}))


@pytest.mark.parametrize("name", ["x-amz-meta-a", "X-Amz-Meta-A", "X-AMZ-META-A"])
def test_a_header_is_found_however_it_is_spelled(name):
    made = fields(x_amz_meta_a="1")
    assert (made[name], made.get(name), name in made) == ("1", "1", True)
    made[name] = "2"
    assert made.environ["HTTP_X_AMZ_META_A"] == "2"
    del made[name]
    assert (made.get(name), name in made) == (None, False)


def test_the_two_headers_that_cgi_names_otherwise_are_headers_too():
    made = fields(content_type="a/b")
    assert (made["Content-Type"], made["content-length"], made.environ["CONTENT_TYPE"]) == ("a/b", "3", "a/b")


def test_what_else_is_in_the_environ_is_no_header():
    made = Fields({"REQUEST_METHOD": "GET", "wsgi.input": None, "HTTP_X_A": "1", "CONTENT_TYPE": "a/b"})
    assert made.by_name() == dict(made.items()) == {"x-a": "1", "content-type": "a/b"}
    assert (sorted(made), len(made)) == (["content-type", "x-a"], 2)
