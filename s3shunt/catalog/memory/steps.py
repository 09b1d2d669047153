"""Steps: all of one or nothing, and what they leave for others to do."""

from collections.abc import Sequence
from dataclasses import replace

from s3shunt.catalog.memory.entries import Entries
from s3shunt.catalog.memory.kept import Pk, primary
from s3shunt.catalog.memory.ledger import Ledger
from s3shunt.model import Entry, Event, Intent, ObjectRef, Recall, Step, Swap
from s3shunt.policy import transitions
from s3shunt.policy.adopt import Taken
from s3shunt.policy.claims import moved


class Steps(Entries, Ledger):
    def commit(self, step: Step) -> bool:
        for swap in step.swaps:
            transitions.check(swap)
        with self._lock:
            if not all(self._stands(swap) for swap in step.swaps) or not all(i in self._intents for i in step.closed):
                return False
            if not self._one_current(step.swaps) or not self._one_recall(step.recalls):
                return False
            known = [self._intents[id_] for id_ in (*step.closed, *(i.id for i in step.opened)) if id_ in self._intents]
            if not self._claims.take(moved(step.swaps, step.opened, known)):
                return False
            for swap in step.swaps:
                self._replace(swap)
            for intent in step.closed:
                del self._intents[intent]
            self._intents.update({intent.id: intent for intent in step.opened})
            self._recalls.update({recall.id: recall for recall in step.recalls})
            for kind, dedupe in step.released:
                self._release(kind, dedupe)
            self.enqueue(*step.jobs)
            for event in step.events:
                self._events[self._next()] = event
            return True

    def _stands(self, swap: Swap) -> bool:
        if swap.old is None:
            return swap.new is not None and primary(swap.new.ref) not in self._rows
        row = self._rows.get(primary(swap.old.ref))
        return row is not None and row.revision == swap.old.revision

    def _one_current(self, swaps: Sequence[Swap]) -> bool:
        """At most one row of a key is current."""
        after: dict[Pk, Entry | None] = {primary(swap.old.ref): None for swap in swaps if swap.old}
        after |= {primary(swap.new.ref): swap.new for swap in swaps if swap.new}
        keys = {pk[:3] for pk in after}
        rows = {pk: row for pk, row in self._rows.items() if pk[:3] in keys} | after
        current = [pk[:3] for pk, row in rows.items() if row is not None and row.current]
        return len(current) == len(set(current))

    def _one_recall(self, recalls: Sequence[Recall]) -> bool:
        """At most one active recall for a generation of a version."""
        after = self._recalls | {recall.id: recall for recall in recalls}
        active = [(primary(recall.ref), recall.generation) for recall in after.values() if recall.active]
        return len(active) == len(set(active))

    def _replace(self, swap: Swap) -> None:
        if swap.old is not None:
            del self._rows[primary(swap.old.ref)]
        self._used(swap)
        if swap.new is not None:
            revision = swap.old.revision + 1 if swap.old else self._next() << 20
            self._rows[primary(swap.new.ref)] = replace(swap.new, revision=revision)
            self._publish[self._next()] = swap.new.ref
        elif swap.old is not None:
            self._publish[self._next()] = swap.old.ref

    def _used(self, swap: Swap) -> None:
        """A version that was written is as good as read; else what was noted stays."""
        if swap.new is None:
            self._uses.pop(primary(swap.old.ref), None)  # type: ignore[union-attr]
        elif swap.old is None or _modified(swap.old) != _modified(swap.new):
            self._uses[primary(swap.new.ref)] = _modified(swap.new)

    def adopt(self, entries: Sequence[Entry], *, rehearse: bool = False) -> list[Entry]:
        with self._lock:
            taken = Taken()
            for row in self.rows_of([entry.ref for entry in entries]):
                taken.row(*primary(row.ref), current=row.current)
            for entry in entries:
                if entry.external_id and (holder := self._claims.holder(entry.ref.account, entry.external_id)):
                    taken.claim(holder.account, entry.external_id, *primary(holder)[1:3])
            fresh = [entry for entry in entries if taken.take(entry, primary(entry.ref)[2])]
            if not rehearse:
                assert self.commit(Step(swaps=tuple(Swap(None, entry) for entry in fresh)))
            return fresh

    def lapsed(self, now: int, limit: int = 100) -> list[Intent]:
        with self._lock:
            return sorted((i for i in self._intents.values() if i.lease <= now), key=lambda i: i.lease)[:limit]

    def renew(self, intent: str, lease: int) -> bool:
        with self._lock:
            if intent not in self._intents:
                return False
            self._intents[intent] = replace(self._intents[intent], lease=lease)
            return True

    def pending(self, limit: int = 100) -> list[tuple[int, Event]]:
        with self._lock:
            return sorted(self._events.items(), key=lambda row: row[0])[:limit]

    def delivered(self, *ids: int) -> None:
        with self._lock:
            for id_ in ids:
                self._events.pop(id_, None)

    def publishes(self, older_than: int, limit: int = 1000) -> list[tuple[int, Entry | ObjectRef]]:  # noqa: ARG002  # all are old here
        with self._lock:
            rows = sorted(self._publish.items(), key=lambda row: row[0])[:limit]
            return [(id_, self._rows.get(primary(ref), ref)) for id_, ref in rows]

    def published(self, *ids: int) -> None:
        with self._lock:
            for id_ in ids:
                self._publish.pop(id_, None)


def _modified(row: Entry) -> int:
    return row.facts.last_modified if row.facts else 0
