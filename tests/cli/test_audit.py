"""What an operator sees of a disagreement, and what is mended on request."""

from s3shunt.model import Entry, Facts, ObjectRef, State, Step, Swap

FILM = Entry(
    ref=ObjectRef("films", "reel", "null", "main"), state=State.ARCHIVED, facts=Facts(size=1, etag='"e"', last_modified=1),
    storage_class="GLACIER", archive="tape", archive_id="A1", copies=1,
)  # fmt: skip


def test_a_sound_house_has_nothing_to_tell(site):
    done = site.run("audit")
    assert (done.exit_code, "reel" in done.stdout) == (0, False)


def test_a_row_whose_copy_is_gone_is_told_and_on_request_marked(site):
    site.house.truth().commit(Step(swaps=(Swap(None, FILM),)))
    done = site.run("audit", "--json")
    assert done.exit_code == 1
    assert '"kind": "lost"' in done.stdout
    assert site.house.truth().find(FILM.ref).state is State.ARCHIVED
    assert site.run("audit", "--repair").exit_code == 0
    assert site.house.truth().find(FILM.ref).state is State.LOST
