"""From a section of the ini to an adapter: once per process, by the scheme of its URL."""

import pytest

from s3shunt import connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import ConfigError, Ini
from s3shunt.stores.memory import MemoryStore
from s3shunt.testing.clock import HandClock

SOURCE = """\
[DEFAULT]
state = {state}
day = 10s
[catalog:main]
url = memory://
[store:main]
url = memory://
[store:landing]
like = main
[store:wild]
url = gopher://there
[store:bare]
evict = none
[policy:films]
buckets = films
archive = tape
"""


@pytest.fixture
def house(tmp_path):
    path = tmp_path / "house.ini"
    path.write_text(SOURCE.format(state=tmp_path / "state"))
    return connect.House(Ini(path, {}), HandClock())


def test_an_adapter_is_made_once_and_shared(house):
    assert isinstance(house.truth(), MemoryCatalog)
    assert house.truth() is house.truth()


def test_a_section_like_another_is_an_adapter_of_its_own(house):
    assert isinstance(house.store("landing"), MemoryStore)
    assert house.store("landing") is not house.store("main")


def test_without_an_index_the_doors_read_the_database_itself(house):
    assert house.catalog() is house.truth()


def test_what_a_test_puts_there_stands_there(house):
    mine = object()
    house.put("archive", "tape", mine)
    assert house.archive("tape") is mine


def test_the_house_knows_its_day_its_state_and_its_policies(house, tmp_path):
    assert (house.day, house.state) == (10_000, tmp_path / "state")
    assert [policy.name for policy in house.policies] == ["films"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda house: house.store("nowhere"), r"\[store:nowhere\] is missing: expected such a section, known are \[store:main\]"),
        (lambda house: house.store("wild"), r"\[store:wild\] url = gopher://\.\.\.: no store adapter of that name, expected"),
        (lambda house: house.store("bare"), r"\[store:bare\] needs url"),
        (lambda house: house.upstream("main"), r"\[store:main\]: the proxy needs a store that speaks S3"),
    ],
)
def test_what_cannot_be_connected_is_said_with_its_section(house, ask, said):
    with pytest.raises(ConfigError, match=said):
        ask(house)


def test_the_class_of_an_adapter_is_known_without_connecting(house):
    assert connect.adapter_class(house.ini, "store", "landing") is MemoryStore


def test_one_house_for_one_ini_in_one_process(tmp_path):
    path = tmp_path / "house.ini"
    path.write_text(SOURCE.format(state=tmp_path))
    assert connect.house(path) is connect.house(str(path))


def test_the_doors_of_an_ini_are_told_to_a_swift_that_loaded_them(house):
    from swift.common import registry

    assert all(house.announce(door) for door in ("errors", "shunt", "errors"))
    assert registry.get_swift_info()["s3shunt"]["doors"] == ["errors", "shunt"]
