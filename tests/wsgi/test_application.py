"""Handlers that stand where WSGI expects applications."""

from s3shunt.testing.client import call, environ
from s3shunt.testing.origin import Origin
from s3shunt.wsgi import Application, handler_of


def test_an_application_accepts_attributes_and_unknown_methods():
    app = Application(Origin())
    app.logger = "as Swift sets them"
    made = environ("TEST", "/")
    assert call(app, made).status == 200


def test_our_own_doors_call_each_other_directly():
    origin = Origin()
    assert handler_of(Application(origin)) is origin
