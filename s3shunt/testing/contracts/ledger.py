"""What the ledger, the registry and the events of every ``Truth`` have to keep; part of its ``CatalogContract``."""

from dataclasses import replace

import pytest

from s3shunt.model import Bucket, Event, Job, ObjectRef, Step, Upload

LATE = 10**15
REF = ObjectRef("films", "a/b.mxf", "null")


class LedgerContract:
    """The fixture's catalog is empty."""

    @pytest.fixture
    def catalog(self):
        raise NotImplementedError("give the catalog under test")

    # Buckets and uploads

    def test_a_bucket_is_remembered_and_its_generation_moves_on(self, catalog):
        catalog.save_bucket(Bucket(name="films", account="a", owner="me", plain=False, versioned=True))
        catalog.save_bucket(Bucket(name="films", account="a", owner="you"))
        assert catalog.bucket("a", "films") == Bucket(name="films", account="a", owner="you", generation=2)
        assert catalog.bucket("", "films") is None
        catalog.drop_bucket("a", "films")
        catalog.drop_bucket("a", "films")
        assert catalog.bucket("a", "films") is None

    def test_buckets_are_listed_by_account_and_name(self, catalog):
        for account, name in (("b", "a"), ("", "z"), ("", "B")):
            catalog.save_bucket(Bucket(name=name, account=account))
        assert [(bucket.account, bucket.name) for bucket in catalog.buckets()] == [("", "B"), ("", "z"), ("b", "a")]

    def test_an_upload_is_remembered(self, catalog):
        upload = Upload(id="u", ref=replace(REF, version=None), storage_class="GLACIER", external_id="x", checksum_type="FULL", created=3)
        catalog.save_upload(Upload(id="u", ref=REF))
        catalog.save_upload(upload)
        assert catalog.upload("u") == upload
        catalog.drop_upload("u")
        assert catalog.upload("u") is None

    # The ledger

    def test_a_live_job_is_there_once_and_only_moves_forward(self, catalog):
        job = Job(kind="k", dedupe="d", due=50, payload={"a": 1})
        catalog.enqueue(job, Job(kind="k", dedupe="e", due=60))
        catalog.enqueue(replace(job, due=90, payload={}), Job(kind="k", dedupe="e", due=10))
        assert [(found.dedupe, found.due, found.payload) for found in catalog.jobs()] == [("e", 10, {}), ("d", 50, {"a": 1})]
        assert catalog.commit(Step(released=(("k", "e"), ("k", "never"))))
        assert [found.dedupe for found in catalog.jobs()] == ["d"]

    def test_due_jobs_are_claimed_once_oldest_first(self, catalog):
        catalog.enqueue(*[Job(kind="k", dedupe=str(due), due=due) for due in (30, 10, 20, 99)], Job(kind="other", dedupe="x", due=1))
        first = catalog.claim(["k"], now=50, lease=100, owner="me", limit=2)
        second = catalog.claim(["k"], now=50, lease=100, owner="you", limit=2)
        assert [job.due for job in first + second] == [10, 20, 30]
        assert [(job.owner, job.lease) for job in first] == [("me", 100)] * 2
        assert catalog.claim(["k"], now=50, lease=100, owner="me") == []
        assert len({job.token for job in first + second}) == 3

    def test_jobs_are_claimed_by_name_when_they_are_due_and_free(self, catalog):
        catalog.enqueue(*[Job(kind="k", dedupe=f"ü{due}\0", due=due) for due in (10, 20, 30, 99)], Job(kind="other", dedupe="ü10\0", due=1))
        (held,) = catalog.claim(["k"], now=50, lease=100, owner="me")
        names = ["ü30\0", "ü10\0", "ü20\0", "ü99\0", "never"]
        named = catalog.claim_named("k", names, now=50, lease=200, owner="you")
        assert [(job.due, job.lease, job.owner) for job in named] == [(20, 200, "you"), (30, 200, "you")]
        assert min(job.token for job in named) > held.token
        assert catalog.claim_named("k", names, now=50, lease=100, owner="me") == []
        assert catalog.claim_named("k", [], now=50, lease=100, owner="me") == []
        assert [job.due for job in catalog.claim_named("k", names, now=100, lease=300, owner="me")] == [10, 99]

    def test_a_lapsed_claim_passes_on_and_fences_the_first_holder(self, catalog):
        catalog.enqueue(Job(kind="k", dedupe="d"))
        (first,) = catalog.claim(["k"], now=0, lease=100, owner="me")
        assert catalog.claim(["k"], now=99, lease=200, owner="you") == []
        (second,) = catalog.claim(["k"], now=100, lease=200, owner="you")
        assert second.token > first.token
        assert not catalog.finish(first)
        assert not catalog.postpone(first, 500)
        assert not catalog.bury(first, "x")
        assert catalog.finish(second)
        assert not catalog.finish(second)
        assert catalog.jobs() == []

    def test_a_claim_is_kept_longer_by_its_holder_only(self, catalog):
        catalog.enqueue(Job(kind="k", dedupe="d"))
        (first,) = catalog.claim(["k"], now=0, lease=100, owner="me")
        assert catalog.extend(first, 300)
        assert catalog.claim(["k"], now=299, lease=400, owner="you") == []
        (second,) = catalog.claim(["k"], now=300, lease=400, owner="you")
        assert not catalog.extend(first, 900)
        assert catalog.extend(second, 500)
        assert catalog.finish(second)
        assert not catalog.extend(second, 600)

    def test_tokens_grow_for_ever(self, catalog):
        tokens = []
        for round_ in range(4):
            catalog.enqueue(Job(kind="k", dedupe=str(round_)), Job(kind="k", dedupe=f"{round_}'"))
            claimed = catalog.claim(["k"], now=0, lease=1, owner="me", limit=5)
            tokens += [job.token for job in claimed]
            for job in claimed:
                assert catalog.finish(job)
        assert tokens == sorted(set(tokens))

    def test_a_postponed_job_comes_again_and_counts_failures(self, catalog):
        catalog.enqueue(Job(kind="k", dedupe="d"))
        (job,) = catalog.claim(["k"], now=0, lease=100, owner="me")
        assert catalog.postpone(job, 70, reason="tape\0 busy", failed=True)
        assert catalog.claim(["k"], now=69, lease=100, owner="me") == []
        (again,) = catalog.claim(["k"], now=70, lease=170, owner="me")
        assert again.attempts == 1
        assert catalog.postpone(again, 80)
        assert catalog.jobs()[0].attempts == 1

    def test_a_buried_job_lies_among_the_dead_until_it_is_revived(self, catalog):
        catalog.enqueue(Job(kind="k", dedupe="d"))
        (job,) = catalog.claim(["k"], now=0, lease=100, owner="me")
        assert catalog.bury(job, "no such tape")
        assert catalog.claim(["k"], now=LATE, lease=LATE, owner="me") == []
        (dead,) = catalog.jobs(dead=True)
        assert (dead.reason, catalog.jobs()) == ("no such tape", [])
        catalog.enqueue(Job(kind="k", dedupe="d"))
        assert not catalog.revive(dead.id, 5)
        assert catalog.commit(Step(released=(("k", "d"),)))
        assert catalog.revive(dead.id, 5)
        assert not catalog.revive(dead.id, 5)
        assert [(found.due, found.attempts) for found in catalog.jobs(kind="k")] == [(5, 0)]

    def test_the_backlog_is_counted_by_kind_and_state(self, catalog):
        assert catalog.backlog() == {}
        catalog.enqueue(Job(kind="k", dedupe="a", due=7), Job(kind="k", dedupe="b", due=5), Job(kind="j", dedupe="a", due=1))
        (job,) = catalog.claim(["j"], now=1, lease=100, owner="me")
        assert catalog.bury(job, "no such tape")
        assert catalog.backlog() == {("k", "waiting"): (2, 5), ("j", "dead"): (1, 1)}

    # Events

    def test_events_are_delivered_in_order_and_their_numbers_never_come_again(self, catalog):
        one, two = Event(name="one", ref=REF, at=1), Event(name="two", ref=REF, at=2)
        assert catalog.commit(Step(events=(one, two)))
        assert [event for _, event in catalog.pending()] == [one, two]
        ids = [id_ for id_, _ in catalog.pending()]
        assert catalog.pending(limit=1) == [(ids[0], one)]
        catalog.delivered(*ids)
        catalog.delivered()
        assert catalog.pending() == []
        assert catalog.commit(Step(events=(one,)))
        assert catalog.pending()[0][0] > ids[1]
