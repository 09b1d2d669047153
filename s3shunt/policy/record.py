"""The steps of a write: begin, finish, abandon; the tombstone of a DELETE; what a sweep does with a dead one.

Every function is pure and gives the ``Step`` to commit, or ``Wait``. A step that
fails to commit was decided on an old row: read the row again and decide anew.
The rules, each of which closes a way to lose an acknowledged write, are in
``docs/states.md``; ``tests/policy/test_explorer.py`` walks all their interleavings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from s3shunt.model import NULL, STORE_IS_TRUTH, Entry, Facts, Intent, Job, ObjectRef, Policy, Recall, RecallState, State, Step, Swap
from s3shunt.policy import media

ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
SKEW = 60_000
"""How far the store's clock may be behind ours."""
KNOWN = 2_000
"""A proxy may take a bucket for plain a second longer, and would believe the store's 404: until all know better, the bytes stay."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The row is being evicted: look again, at the latest when its lease has run out."""

    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a successful write left in the store, and what the store will not keep of it.

    ``ref`` carries the version the store gave, or 'null'.
    """

    ref: ObjectRef
    facts: Facts
    storage_class: str = "STANDARD"
    external_id: str | None = None
    now: int = 0
    latest: bool = True  # the store holds nothing newer


def begin(row: Entry | None, intent: Intent) -> Step | Wait:
    """Before the first byte goes to the store. A key nobody knew gets a placeholder row, so that writers count.

    The intent that is opened names the row it is counted on, whatever version the client wrote to.
    """
    if row is None:
        placeholder = Entry(ref=replace(intent.ref, version="null"), writers=1)
        return Step(swaps=(Swap(None, placeholder),), opened=(replace(intent, ref=placeholder.ref, generation=0),))
    if row.state is State.EVICTING:
        return Wait(row.lease or intent.started)
    counted = replace(intent, ref=row.ref, generation=row.generation)
    return Step(swaps=(Swap(row, replace(row, writers=row.writers + 1)),), opened=(counted,))


def finish(
    row: Entry, intent: Intent, written: Written, policies: Sequence[Policy], *, recall: Recall | None = None, current: Entry | None = None
) -> Step | Wait:
    """After the store's 200: the entry tells of the new version; what is moot of the old one is scheduled away.

    ``row`` is the row the intent was counted on, as just read; it exists while the intent does. ``current`` is
    the current row where that is another one by now (two writers on a bucket with versions).
    """
    if row.state is State.EVICTING:
        return Wait(row.lease or written.now)
    policy = policy_for(policies, written)
    if row.ref == written.ref and row.state in (State.ARCHIVING, State.VERIFIED) and _known(row, written):
        return _told(row, intent, written)
    if row.ref == written.ref and _same_bytes(row, written):
        return _resaved(row, intent, written, policy)
    fresh = _fresh(row, written, policy)
    same = row.ref == written.ref
    swaps = _replaced(row, fresh, policy) if same else _succeeded(row, fresh, policy, current, latest=written.latest)
    return Step(
        swaps=swaps,
        closed=(intent.id,),
        recalls=_cancelled(recall, same),
        jobs=(*_archive_job(fresh, policy, written.now), *(_discards(row, policies, written.now) if same else ())),
    )


def beside(
    row: Entry, own: Entry, intent: Intent, written: Written, policies: Sequence[Policy], *, current: Entry | None = None
) -> Step | Wait:
    """The version that was written has a row of its own already, a crawl's: what was asked of it is told there.

    ``current`` is the key's current row, as in ``finish``.
    """
    if own.state is State.EVICTING:
        return Wait(own.lease or written.now)
    newest = written.latest or own.current  # of what it no longer holds the store cannot tell; the evictor could
    rival = current if current is not None and current.ref not in (row.ref, own.ref) and newest else None
    older = replace(row, current=row.current and not newest, writers=row.writers - 1)
    emptied = older.facts is None and not older.writers
    told = replace(own, current=newest, storage_class=written.storage_class, external_id=written.external_id)
    policy = policy_for(policies, written) if own.state is State.ONLINE else None
    passed = (Swap(rival, replace(rival, current=False)),) if rival is not None else ()
    return Step(
        swaps=(Swap(row, None if emptied else older), *passed, Swap(own, told)),
        closed=(intent.id,),
        jobs=_archive_job(told, policy, written.now),
    )


def abandon(row: Entry | None, intent: Intent) -> Step:
    """The store refused, or never got, the write: the row is as it was, and a placeholder nobody needs goes."""
    return Step(swaps=_released(row, row.facts if row else None), closed=(intent.id,))


def amend(row: Entry, intent: Intent, seen: Facts | None) -> Step:
    """Tags, ACL or lock of a version were changed in the store: the hint follows, if it still tells of that version."""
    told = row.facts
    if seen is not None and told is not None and row.state in STORE_IS_TRUTH and seen.fingerprint == told.fingerprint:
        told = seen
    return Step(swaps=_released(row, told), closed=(intent.id,))


def tombstone(row: Entry, intent: Intent) -> Step | Wait:
    """DELETE of an unversioned key begins: readers get 404 from here on, until it is done or undone."""
    if row.state in (State.EVICTING, State.DELETED):
        return begin(row, intent)  # wait; or join the DELETE that is under way
    hidden = replace(row, state=State.DELETED, generation=row.generation + 1, writers=row.writers + 1)
    return Step(swaps=(Swap(row, hidden),), opened=(replace(intent, ref=row.ref, generation=hidden.generation, before=row),))


def forget(row: Entry, intent: Intent, policies: Sequence[Policy], now: int, recall: Recall | None = None) -> Step:
    """The store's DELETE is done. A writer that came meanwhile keeps a placeholder.

    A row older than the intent was put back by another DELETE that failed, whose tombstone this one had joined.
    """
    hidden = row.state is State.DELETED and row.generation == intent.generation
    if not hidden and row.generation >= intent.generation:
        return abandon(row, intent)  # written again meanwhile: that write has its own history
    rest = row.writers - 1
    gone = Entry(ref=row.ref, generation=row.generation, writers=rest) if rest else None
    return Step(
        swaps=(Swap(row, gone),),
        closed=(intent.id,),
        recalls=_cancelled(recall, active=True),
        jobs=_discards(intent.before or row, policies, now),
    )


def undo(row: Entry, intent: Intent) -> Step:
    """The store refused the DELETE: what the tombstone hid is put back, as if nobody had asked."""
    before = intent.before
    if before is None or row.state is not State.DELETED or row.generation != intent.generation:
        return abandon(row, intent)
    kept = replace(before, writers=row.writers - 1)
    return Step(swaps=(Swap(row, kept),), closed=(intent.id,))


def removed(row: Entry, heir: Entry | None, policies: Sequence[Policy], now: int, recall: Recall | None = None) -> Step | Wait:
    """One version was deleted by its id; ``heir`` is the row that is current from now on, if a row is."""
    if row.state is State.EVICTING:
        return Wait(row.lease or now)
    swaps = (Swap(row, None), *((Swap(heir, replace(heir, current=True)),) if heir is not None and not heir.current else ()))
    return Step(swaps=swaps, recalls=_cancelled(recall, active=True), jobs=_discards(row, policies, now))


def hidden(row: Entry) -> Step:
    """A delete marker became the current version: no row is."""
    return Step(swaps=(Swap(row, replace(row, current=False)),))


def sweep(
    row: Entry | None, intent: Intent, seen: Written | None, policies: Sequence[Policy], now: int, *, current: Entry | None = None
) -> Step | Wait:
    """An intent outlived its lease: ``seen`` is what the store holds. Finish what was written, or drop it.

    ``row`` is the row the intent was counted on.
    """
    if row is None:
        return Step(closed=(intent.id,))
    if row.state is State.EVICTING:
        return Wait(row.lease or now)
    if intent.before is not None:
        return _sweep_delete(row, intent, seen, policies, now)
    if seen is not None and _known(row, seen):
        return amend(row, intent, seen.facts)
    if seen is None or row.generation > intent.generation or _older(intent, seen):
        return abandon(row, intent)
    return finish(row, intent, seen, policies, current=current)


def _told(row: Entry, intent: Intent, written: Written) -> Step:
    """An archiver was faster and stands on this very version: its copy counts, as a dead evictor may yet delete the bytes."""
    known = replace(row, writers=row.writers - 1, storage_class=written.storage_class, external_id=written.external_id)
    return Step(swaps=(Swap(row, known),), closed=(intent.id,))


def _resaved(row: Entry, intent: Intent, written: Written, policy: Policy | None) -> Step:
    """The bytes that the archive holds verified were written again: its copy stands for them, too.

    A dead evictor's delete may still come, and a store that compares ETags cannot tell the two apart; then a reader
    finds the copy instead of nothing.
    """
    fresh = replace(_fresh(row, written, policy), state=State.VERIFIED, archive=row.archive, archive_id=row.archive_id, copies=row.copies)
    fresh = replace(fresh, media=row.media, media_kind=row.media_kind) if row.media else fresh
    jobs = () if policy is None or policy.evict_after is None else (evict_job(fresh, policy.name, fresh.due or 0, policy.evict_after),)
    return Step(swaps=(Swap(row, fresh),), closed=(intent.id,), jobs=jobs)


def _same_bytes(row: Entry, written: Written) -> bool:
    known = row.facts if row.state is State.VERIFIED and row.archive_id else None
    return known is not None and (known.etag, known.size) == (written.facts.etag, written.facts.size)


def _known(row: Entry, seen: Written) -> bool:
    return row.facts is not None and seen.facts.fingerprint == row.facts.fingerprint


def _older(intent: Intent, seen: Written) -> bool:
    """Whether what the store holds was there before this write began; the two clocks may differ a little."""
    return seen.facts.last_modified + SKEW < intent.started


def _sweep_delete(row: Entry, intent: Intent, seen: Written | None, policies: Sequence[Policy], now: int) -> Step:
    """A sweep never deletes: an unacknowledged DELETE is finished only when the store's bytes are gone already."""
    was_online = intent.before is not None and intent.before.state in STORE_IS_TRUTH
    if was_online and seen is None:
        return forget(row, intent, policies, now)
    return undo(row, intent)


def live(row: Entry) -> bool:
    """Whether the row stands for an object that is there although the store may show none."""
    return row.state not in (State.ONLINE, State.ARCHIVING, State.DELETED)


def policy_for(policies: Sequence[Policy], written: Written) -> Policy | None:
    """The first policy that would take this object, by class at once or by age later."""
    for policy in policies:
        if not matches(policy, written.ref):
            continue
        if written.storage_class in policy.classes and written.storage_class in ARCHIVE_CLASSES:
            return policy
        if policy.after is not None and policy.min_size <= written.facts.size <= (policy.max_size or written.facts.size):
            return policy
    return None


def matches(policy: Policy, ref: ObjectRef) -> bool:
    """Whether a policy is for this bucket and key."""
    return ref.key.startswith(policy.prefix) and any(fnmatchcase(ref.bucket, pattern) for pattern in policy.buckets)


def _fresh(row: Entry, written: Written, policy: Policy | None) -> Entry:
    return Entry(
        ref=written.ref,
        state=State.ONLINE,
        facts=written.facts,
        generation=row.generation + 1,
        writers=row.writers - 1,
        storage_class=written.storage_class,
        store=row.store,
        archive=policy.archive if policy else None,
        external_id=written.external_id,
        media_kind=media.kind_of(written.ref, written.facts),
        due=_due(written, policy),
        pinned=row.pinned,
    )


def _due(written: Written, policy: Policy | None) -> int | None:
    if policy is None:
        return None
    if written.storage_class in policy.classes:
        return written.now
    return written.facts.last_modified + (policy.after or 0)


def _needed(fresh: Entry, policy: Policy | None) -> bool:
    """Whether an online entry says anything that the store does not."""
    return bool(policy or fresh.writers or fresh.external_id or fresh.storage_class in ARCHIVE_CLASSES)


def _replaced(row: Entry, fresh: Entry, policy: Policy | None) -> tuple[Swap, ...]:
    return (Swap(row, fresh if _needed(fresh, policy) else None),)


def _succeeded(row: Entry, fresh: Entry, policy: Policy | None, current: Entry | None, *, latest: bool) -> tuple[Swap, ...]:
    """A new version beside the old row, which is no longer current; its placeholder goes. It may have a successor already."""
    older = replace(row, current=False, writers=row.writers - 1)
    emptied = older.facts is None and not older.writers
    newer = replace(fresh, writers=0, generation=1, current=latest)
    passed = (Swap(current, replace(current, current=False)),) if latest and current is not None and current.ref != row.ref else ()
    kept = (Swap(None, newer),) if _needed(newer, policy) else ()
    return (Swap(row, None if emptied else older), *passed, *kept)


def _released(row: Entry | None, facts: Facts | None) -> tuple[Swap, ...]:
    if row is None:
        return ()
    rest = replace(row, writers=row.writers - 1, facts=facts)
    emptied = rest.facts is None and not rest.writers and rest.state is State.ONLINE
    return (Swap(row, None if emptied else rest),)


def _cancelled(recall: Recall | None, active: bool) -> tuple[Recall, ...]:  # noqa: FBT001  # a filter on one value
    if recall is None or not active or not recall.active:
        return ()
    return (replace(recall, state=RecallState.CANCELLED, reason="the object was overwritten or deleted"),)


def _archive_job(fresh: Entry, policy: Policy | None, now: int) -> tuple[Job, ...]:
    if policy is None:
        return ()
    return (archive_job(fresh, policy.name, fresh.due if fresh.due is not None else now),)


def evict_job(row: Entry, policy: str, now: int, after: int = 0) -> Job:
    """The job that takes the bytes of this generation of this version out of the store: ``after`` so many ms, and not before all know."""
    return Job(kind="evict", dedupe=dedupe(row), payload={**name(row.ref), "policy": policy}, due=now + max(after, KNOWN))


def archive_job(entry: Entry, policy: str, due: int) -> Job:
    """The job that takes this generation of this version to its archive."""
    return Job(kind="archive", dedupe=dedupe(entry), payload={**name(entry.ref), "policy": policy}, due=due)


def _discards(row: Entry, policies: Sequence[Policy], now: int) -> tuple[Job, ...]:
    """The landed copy goes at once; the archive's copy when its retention has passed."""
    jobs = []
    if row.place is not None:
        payload = {"store": row.place.store, "name": row.place.name, **name(row.ref)}
        jobs.append(Job(kind="discard", dedupe=f"place {row.place.store} {row.place.name}", payload=payload, due=now))
    if row.archive and row.archive_id:
        policy = next((policy for policy in policies if policy.archive == row.archive and matches(policy, row.ref)), None)
        payload = {"archive": row.archive, "archive_id": row.archive_id, **name(row.ref)}
        due = now + (policy.retain if policy else 0)
        jobs.append(Job(kind="discard", dedupe=f"copy {row.archive} {row.archive_id}", payload=payload, due=due))
    return tuple(jobs)


def dedupe(entry: Entry) -> str:
    """One live job of a kind for one generation of one version: no two of them share a text, whatever their keys hold."""
    ref = entry.ref
    parts = (ref.account, ref.bucket, ref.key, ref.version or NULL, str(entry.generation))
    return "\x1f".join(part.replace("%", "%25").replace("\x1f", "%1F") for part in parts)


def name(ref: ObjectRef) -> dict[str, str]:
    """A ref as a job's payload; ``ref_of`` reads it back."""
    return {"account": ref.account, "bucket": ref.bucket, "key": ref.key, "version": ref.version or "null"}


def ref_of(payload: dict[str, object]) -> ObjectRef:
    return ObjectRef(str(payload["bucket"]), str(payload["key"]), str(payload["version"]), str(payload["account"]))
