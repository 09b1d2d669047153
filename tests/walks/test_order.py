"""The order of the doors: what ``check`` accepts works, whichever it is; what it refuses says why."""

import os
import random

import pytest

from s3shunt.policy import order
from s3shunt.testing.house import WALK, House

FILM = b"frames" * 100


def story(house):
    """The main job in a few requests; what a client sees of it, without what differs by nature."""
    seen = []

    def note(answer):
        kind, restore = (answer.headers.get(f"x-amz-{name}") for name in ("storage-class", "restore"))
        seen.append((answer.status, answer.code, kind, restore, answer.body))

    note(house.put("/films/a", FILM, x_amz_storage_class="GLACIER"))
    house.work(rounds=8)
    note(house.head("/films/a"))
    note(house.restore("/films/a"))
    house.work(rounds=8)
    note(house.get("/films/a"))
    note(house.stranger.get("/films/a"))
    note(house.put("/films/a", b"new"))
    note(house.get("/films/a"))
    note(house.delete("/films/a"))
    return [(status, code, kind, restore, body if status < 300 else b"") for status, code, kind, restore, body in seen]


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    return story(House(tmp_path_factory.mktemp("normal")))


SWAPS = [
    (*WALK[:i], WALK[j], *WALK[i + 1 : j], WALK[i], *WALK[j + 1 :]) for i in range(len(WALK)) for j in range(i + 1, len(WALK))
]  # fmt: skip


def check(walk, tmp_path, normal):
    refusals = order.refusals([*walk, "proxy"])
    if refusals:
        assert all(str(refusal) and refusal.reason for refusal in refusals)
        return False
    assert story(House(tmp_path, walk=walk)) == normal
    return True


@pytest.mark.parametrize("walk", SWAPS, ids=lambda walk: "-".join(w for w, n in zip(walk, WALK, strict=True) if w != n))
def test_every_swap_of_two_doors_works_or_is_refused_with_a_reason(walk, tmp_path, normal):
    check(walk, tmp_path, normal)


@pytest.mark.parametrize("absent", WALK)
def test_a_house_without_a_door_works_or_is_refused_with_a_reason(absent, tmp_path):
    """Without it the story is another one, but nobody answers with an error of ours, and no byte is served unasked."""
    walk = [door for door in WALK if door != absent]
    if order.refusals([*walk, "proxy"]):
        return
    house = House(tmp_path, walk=walk)
    told = story(house)
    assert all(status != 500 for status, *_ in told)
    assert all(FILM not in body for status, _, _, _, body in told[4:5])


OUTER = {door: {rule.outer for rule in order.RULES if rule.inner == door and rule.outer in WALK} for door in WALK}


def random_order(rng):
    """Any order the table accepts may come out, with up to three foreign filters anywhere between."""
    walk = []
    while len(walk) < len(WALK):
        walk.append(rng.choice([door for door in WALK if door not in walk and OUTER[door] <= set(walk)]))
    for _ in range(rng.randrange(4)):
        walk.insert(rng.randrange(len(walk) + 1), "foreign")
    return tuple(walk)


SEED = int(os.environ.get("S3SHUNT_SEED", "20261120"))
SHARES = 20


@pytest.mark.parametrize("share", range(SHARES), ids=lambda share: f"seed{SEED}-{share}")
def test_two_thousand_random_accepted_orders_work(share, tmp_path, normal):
    rng = random.Random(f"{SEED} {share}")
    for number in range(2000 // SHARES):
        walk = random_order(rng)
        assert check(walk, tmp_path / str(number), normal), f"the table refuses what it should accept: {walk}"


def test_a_foreign_filter_may_stand_between_any_two_doors(tmp_path, normal):
    walk = [name for door in WALK for name in ("foreign", door)] + ["foreign"]
    assert check(walk, tmp_path, normal)
