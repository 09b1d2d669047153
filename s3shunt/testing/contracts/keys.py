"""What every ``Keys`` has to keep. Subclass, give a ``keys`` fixture, run."""

import pytest

from s3shunt.model import Grant, Key


class KeysContract:
    """The fixture's ``keys`` is empty."""

    @pytest.fixture
    def keys(self):
        raise NotImplementedError("give the keys under test")

    def test_a_key_is_found_whole(self, keys):
        grants = (Grant(buckets=("films*",), prefixes=("a/", ""), allow=("read",)), Grant())
        full = Key(
            access_key="AK", secret_key="s3cr3t+/", account="a", expires=2**41, session_token="t", grants=grants,
            store_access_key="SK", store_secret_key="ss", disabled=True,
        )  # fmt: skip
        keys.save(full)
        assert keys.find("AK") == full
        assert keys.find("ak") is None

    @pytest.mark.parametrize("grants", [None, ()])
    def test_no_grants_and_all_rights_are_told_apart(self, keys, grants):
        keys.save(Key(access_key="AK", secret_key="s", account="a", grants=grants))
        assert keys.find("AK").grants == grants

    def test_a_key_is_replaced_and_dropped(self, keys):
        keys.save(Key(access_key="B", secret_key="s", account="a"))
        keys.save(Key(access_key="A", secret_key="s", account="a"))
        keys.save(Key(access_key="B", secret_key="new", account="a"))
        assert sorted((key.access_key, key.secret_key) for key in keys.all()) == [("A", "s"), ("B", "new")]
        keys.drop("B")
        keys.drop("B")
        assert keys.find("B") is None
        assert [key.access_key for key in keys.all()] == ["A"]
