"""Exports: how one is asked for, how it is called, and what its job's state means to us. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

from s3shunt.model import Recall
from s3shunt.ports import Progress, Status

RUNNING = frozenset({"created", "waiting", "inprogress"})
DELIVERED = frozenset({"completed", "alreadyexists", "alreadyexistsatdst"})
LOST = "@"
"""In the place of a job's id: the answer to the export was lost, and the destination is all there is to look at."""
REFUSED = "!"
"""In front of a reason in the place of a job's id: it was never asked, and asking cannot help."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of ours. Its written form is the ``request_id``: all that any worker needs to go on with it."""

    name: str
    record: str
    tag: str
    job: str

    def __str__(self) -> str:
        return ":".join(quote(part, safe="") for part in (self.name, self.record, self.tag, self.job))


def read(request_id: str) -> Asked | None:
    parts = [unquote(part) for part in request_id.split(":")]
    return Asked(*parts) if len(parts) == 4 and all(parts[i] for i in (0, 3)) else None


def file_name(prefix: str, recall_id: str, attempt: int) -> str:
    """The file an export delivers: another for every recall and every attempt."""
    digest = sha256(f"{attempt} {recall_id}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{prefix}-{digest}"


def tag(prefix: str, recall: Recall) -> str:
    """One for all recalls of a day, so that one listing tells how all of them stand."""
    return f"{prefix}-{datetime.fromtimestamp(recall.created / 1000, UTC):%Y%m%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``state`` without case and underscores; ``names`` is all that the job says of its file."""

    id: str
    record: str = ""
    state: str = ""
    percent: int = 0
    created: str = ""
    names: str = ""


def jobs(payload: Any) -> list[Job]:
    """From an array, a page or a single object: MediaHaven answers with any of them."""
    if isinstance(payload, Mapping):
        payload = payload.get("Results", [payload])
    found = [_job(told) for told in payload if isinstance(told, Mapping)] if isinstance(payload, Sequence) else []
    return [job for job in found if job.id]


def _job(told: Mapping[str, Any]) -> Job:
    percent = told.get("Progress", told.get("progress"))
    return Job(
        id=str(told.get("ExportJobId") or told.get("exportId") or ""),
        record=str(told.get("RecordId") or told.get("fragmentId") or ""),
        state=str(told.get("Status") or told.get("status") or "").lower().replace("_", ""),
        percent=max(0, min(100, percent)) if isinstance(percent, int) else 0,
        created=str(told.get("CreationDate") or ""),
        names=" ".join(str(told.get(name) or "") for name in ("Name", "Filename", "RemoteUrl", "DownloadUrl")),
    )


def ours(known: Iterable[Job], name: str, record: str, prefix: str) -> Job | None:
    """The job of that file name among those of a tag.

    Where a MediaHaven does not tell file names before delivery, a job of the same
    record that tells none of our names is taken for it: the latest, and never a
    cancelled or failed one.
    """
    known = list(known)
    named = next((job for job in known if name in job.names), None)
    if named is not None:
        return named
    silent = [job for job in known if job.record == record and f"{prefix}-" not in job.names and job.state in RUNNING]
    return max(silent, key=lambda job: (job.created, job.id), default=None)


def v1_request(record: str, name: str, *, location: str, path: str, reason: str) -> dict[str, Any]:
    return {
        "exports": [{"fragmentId": record, "filename": name}],
        "useOriginal": True,
        "exportOptions": {"exportLocationId": int(location) if location.isdecimal() else location},
        "destinationPath": path,
        "exportReason": reason,
        "combine": "NONE",
    }


def v2_request(files: Mapping[str, str], *, location: str, path: str, reason: str, tag: str) -> dict[str, Any]:
    """``files``: by file name, the record it is to hold; one request may ask for many."""
    return {
        "Records": [{"RecordId": record, "Filename": name} for name, record in files.items()],
        "ExportLocationId": location,
        "DestinationPath": path,
        "ExportSource": "Original",
        "Reason": reason,
        "Tag": tag,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Graces:
    """Milliseconds that a state which may yet change is given."""

    failed: int
    gone: int
    delivery: int
    lost: int


def verdict(state: str, percent: int, *, size: int, there: int | None, age: int, graces: Graces) -> Status:
    """How a recall stands. ``state`` '' is a job that MediaHaven does not know, '@' one whose answer was lost;
    ``there`` the size of what lies at the destination; ``age`` how long it has been in this state.
    """
    if state in RUNNING:
        return Status(progress=Progress.WAITING, percent=min(percent, 99))
    if state == "cancelled":
        return Status(progress=Progress.FAILED, retry=False, reason="the export was cancelled in MediaHaven")
    if state == "failed":
        return _patient(age < graces.failed, Progress.FAILED, "the export failed")
    if there == size and state in (*DELIVERED, "", LOST):
        return Status(progress=Progress.READY, percent=100)
    if state in DELIVERED:
        seen = "is not there" if there is None else f"has {there} of {size} bytes"
        return _patient(age < graces.delivery, Progress.FAILED, f"the export is completed, and its file {seen}")
    if state == LOST:
        return _patient(age < graces.lost, Progress.GONE, "the answer to the export was lost, and no file came")
    if state == "":
        return _patient(age < graces.gone, Progress.GONE, "MediaHaven does not know the export any more")
    return Status(progress=Progress.WAITING, reason=f"the export is '{state}', whatever that is")


def _patient(wait: bool, end: Progress, reason: str) -> Status:  # noqa: FBT001
    return Status(progress=Progress.WAITING if wait else end, percent=99 if wait else 0, reason=reason)
