"""What an operator asks is what a client asks: one recall, one interest, in the same tables."""

import pytest

from s3shunt.model import Entry, Facts, ObjectRef, State, Step, Swap

FILM = Entry(
    ref=ObjectRef("films", "reel", "null", "main"), state=State.ARCHIVED, facts=Facts(size=1, etag='"e"', last_modified=1),
    storage_class="GLACIER", archive="tape", archive_id="A1", copies=1,
)  # fmt: skip


@pytest.fixture
def tape(site):
    site.house.truth().commit(Step(swaps=(Swap(None, FILM),)))
    return site


def test_a_request_queues_one_recall(tape):
    assert tape.json("restore", "request", "films/reel", "--tier", "Bulk")[0]["status"] == 202
    [recall] = tape.json("recall", "list")
    assert (recall["state"], recall["tier"], recall["object"]) == ("queued", "Bulk", "films/reel?versionId=null")
    assert tape.house.truth().find(FILM.ref).state is State.QUEUED


def test_asking_again_is_refused_as_a_client_would_be(tape):
    tape.said("restore", "request", "films/reel")
    assert "RestoreAlreadyInProgress" in type(tape.run("restore", "request", "films/reel").exception).__name__


def test_a_cancelled_recall_leaves_the_object_archived(tape):
    tape.said("restore", "request", "films/reel")
    [recall] = tape.json("recall", "list")
    assert tape.json("recall", "cancel", recall["id"])[0]["answer"] == "cancelled"
    assert tape.house.truth().find(FILM.ref).state is State.ARCHIVED
    assert tape.json("recall", "list") == []
    assert tape.json("recall", "show", recall["id"])[0]["state"] == "cancelled"


def test_a_recall_is_retried_now(tape):
    tape.said("restore", "request", "films/reel")
    [recall] = tape.json("recall", "list")
    assert tape.json("recall", "retry", recall["id"])[0]["answer"] == "due now"
    assert [job.dedupe for job in tape.house.truth().jobs(kind="recall")] == [recall["id"]]


def test_a_released_object_is_not_waited_for_by_its_operator(tape):
    tape.said("restore", "request", "films/reel")
    assert tape.json("restore", "release", "films/reel")[0]["answer"] == "released"
    assert tape.house.truth().find(FILM.ref).interests == ()


def test_a_recall_nobody_asked_for_is_said_so(tape):
    assert "there is no recall r9" in str(tape.run("recall", "show", "r9").exception)
