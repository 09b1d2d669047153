from s3shunt.testing.explorer import Actor, World, explore
from s3shunt.testing.explorer.actors import acknowledged, act, begun
from s3shunt.testing.explorer.world import put


def naive(name):
    def script():
        yield begun(name)
        yield act("PUT 200", lambda world: put(world, name, 1))
        yield acknowledged(name)

    return Actor(name, script)


def forgetful():
    yield act("empties the store", lambda world: world._replace(store=()))


START = World(locals=((), ()), begun=(("v0", 0),), acked=("v0",), store=(("v0", 1, "null"),))


def test_two_writes_in_any_order_lose_nothing():
    assert explore(START, [naive("w1"), naive("w2")]) == {}


def test_the_shortest_way_to_a_loss_is_told():
    found = explore(START, [naive("w1"), Actor("thief", forgetful)])
    (way,) = found.values()
    assert way[-1] in ("thief: empties the store", "w1: ACK")
    assert len(way) == 4
