"""Accounts are read from the file that the proxy reads, also while Swift runs."""

import json

from s3shunt.swift import accounts

CREDENTIALS = {"main": {"access_key": "main:s3shunt", "secret_key": "k"}}


def test_each_account_is_the_admin_of_itself_alone():
    found = accounts.users(CREDENTIALS)
    assert found == {"main:s3shunt": {"key": "k", "url": "$HOST/v1/AUTH_main", "groups": [".admin"]}}


def test_an_account_added_later_is_known_at_its_first_request(tmp_path):
    file = tmp_path / "store.json"
    file.write_text(json.dumps(CREDENTIALS))
    auth = accounts.factory({}, accounts=str(file))(lambda environ, start_response: [b""])
    ask = lambda: auth({"PATH_INFO": "/v1/AUTH_main/c", "REQUEST_METHOD": "GET"}, lambda *_: None)
    ask()
    assert set(auth.users) == {"main:s3shunt"}
    later = tmp_path / "new.json"
    later.write_text(json.dumps(CREDENTIALS | {"films": {"access_key": "films:s3shunt", "secret_key": "f"}}))
    later.replace(file)
    ask()
    assert set(auth.users) == {"main:s3shunt", "films:s3shunt"}
