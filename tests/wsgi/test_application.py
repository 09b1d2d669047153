"""Handlers that stand where WSGI expects applications."""

from types import MethodType

from s3shunt.testing.client import call, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, direct, handler_of


def test_an_application_accepts_attributes_and_unknown_methods():
    app = Application(Origin())
    app.logger = "as Swift sets them"
    made = environ("TEST", "/")
    assert call(app, made).status == 200


def test_our_own_doors_call_each_other_directly():
    origin = Origin()
    assert handler_of(Application(origin)).__self__ is origin


def test_a_handler_that_is_an_object_is_called_by_its_method():
    class Door:
        def __call__(self, request):
            return request

    def plain(request):
        return request

    assert direct(Door())(1) == direct(plain)(1) == 1
    assert isinstance(direct(Door()), MethodType)
    assert direct(plain) is plain
    assert direct(direct(door := Door())).__self__ is door
