"""What a webhook is worth: its recalls are looked at now instead of at the next turn. Polling stays the truth. Pure."""

from collections.abc import Iterable

from s3shunt.model import Job, Recall
from s3shunt.policy.record import name
from s3shunt.protocol import premis

EXPORTED = "EXPORTED"


def jobs(document: bytes, recalls: Iterable[Recall], now: int) -> list[Job]:
    """The jobs to enqueue: each moves the due date of a live one forward, and does nothing else, however often it comes.

    Raises MalformedXML.
    """
    records = {id_ for event in premis.read(document) if event.kind.startswith(EXPORTED) for id_ in event.objects}
    return [
        Job(kind="recall", dedupe=recall.id, payload={"recall": recall.id, **name(recall.ref)}, due=now)
        for recall in recalls
        if recall.active and recall.request_id and recall.archive_id in records
    ]
