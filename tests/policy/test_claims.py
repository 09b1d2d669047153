from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from s3shunt.model import Entry, Intent, ObjectRef, Swap
from s3shunt.policy.claims import Claim, Claims, moved, same_key

REF = ObjectRef("films", "a", "null", "acc")
ROW = Entry(ref=REF, external_id="pid")
INTENT = Intent(id="i", ref=REF, operation="PutObject", started=0, lease=0, external_id="pid")
PID = Claim("acc", "pid", "films", "a")


def test_rows_and_open_writes_carry_an_id_and_only_a_difference_is_a_move():
    assert moved((Swap(None, ROW),), (), ()) == [(PID, 1)]
    assert moved((Swap(ROW, None),), (), ()) == [(PID, -1)]
    assert moved((Swap(ROW, replace(ROW, writers=1)),), (INTENT,), ()) == [(PID, 1)]
    assert moved((Swap(None, ROW),), (), (INTENT,)) == []
    assert moved((Swap(None, replace(ROW, external_id=None)), Swap(None, replace(ROW, external_id=""))), (), ()) == []


def test_an_id_is_let_go_of_before_it_is_taken_and_everybody_goes_in_one_order():
    other = replace(ROW, ref=replace(REF, key="0"), external_id="pid")
    third = replace(ROW, external_id="apid")
    moves = moved((Swap(None, other), Swap(ROW, third)), (), ())
    assert moves == [(PID._replace(external_id="apid"), 1), (PID, -1), (PID._replace(key="0"), 1)]


def test_versions_of_a_key_are_the_same_key():
    assert same_key(REF, replace(REF, version="v1"))
    assert not same_key(REF, replace(REF, key="b"))
    assert not same_key(REF, replace(REF, account=""))


def test_what_cannot_be_taken_changes_nothing():
    claims = Claims()
    assert claims.take([(PID, 2)])
    assert not claims.take([(PID._replace(external_id="new"), 1), (PID._replace(key="b"), 1)])
    assert (claims.holder("acc", "pid"), claims.holder("acc", "new")) == (PID.ref, None)
    assert claims.take([(PID._replace(key="b"), -1)])
    assert claims.take([(PID, -1)])
    assert claims.holder("acc", "pid") == PID.ref
    assert claims.take([(PID, -1)])
    assert claims.holder("acc", "pid") is None


IDS = st.sampled_from(["x", "y", None])
NAMES = st.tuples(st.sampled_from("ab"), st.sampled_from(["v1", "v2"]))


@given(st.lists(st.tuples(NAMES, IDS), max_size=12))
def test_a_claim_stands_while_a_row_carries_it(writes):
    """Whatever is written in whatever order: who holds an id is whose rows carry it, and that is one key."""
    rows, claims = {}, Claims()
    for (key, version), id_ in writes:
        old = rows.get((key, version))
        new = Entry(ref=ObjectRef("b", key, version), external_id=id_)
        if claims.take(moved((Swap(old, new),), (), ())):
            rows[(key, version)] = new
        else:
            assert any(row.external_id == id_ for (other, _), row in rows.items() if other != key)
        for wanted in ("x", "y"):
            carriers = {name for (name, _), row in rows.items() if row.external_id == wanted}
            holder = claims.holder("", wanted)
            assert carriers == ({holder.key} if holder else set())
