import pytest

from s3shunt.model import Key
from s3shunt.testing.contracts.keys import KeysContract


class Forgetful:
    """Keys that do not keep what they are told of grants."""

    def __init__(self):
        self.kept = {}

    def save(self, key):
        self.kept[key.access_key] = Key(access_key=key.access_key, secret_key=key.secret_key, account=key.account)

    def find(self, access_key):
        return self.kept.get(access_key)


def test_keys_that_turn_no_rights_into_all_rights_are_found_out():
    with pytest.raises(AssertionError):
        KeysContract().test_no_grants_and_all_rights_are_told_apart(Forgetful(), ())
