"""The contract can be broken: catalogs that forget whose an id is are found out."""

import pytest

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.policy.claims import Claims
from s3shunt.testing.contracts.media import MediaContract


class Careless(Claims):
    def take(self, moves):
        return super().take(moves) or True


class Grasping(Claims):
    def take(self, moves):
        return super().take([(claim, change) for claim, change in moves if change > 0])


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Careless, "test_an_external_id_is_its_keys_alone"),
        (Careless, "test_a_write_that_is_under_way_has_its_id_until_it_ends"),
        (Grasping, "test_versions_of_a_key_share_an_id_until_the_last_one_is_gone"),
        (Grasping, "test_a_write_that_comes_to_nothing_frees_its_id"),
    ],
)
def test_a_broken_promise_is_found_out(kind, promise):
    catalog = MemoryCatalog()
    getattr(MediaContract(), promise)(catalog)
    catalog = MemoryCatalog()
    catalog._claims = kind()
    with pytest.raises(AssertionError):
        getattr(MediaContract(), promise)(catalog)
