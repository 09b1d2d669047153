"""All that is kept, under one lock."""

import threading

from s3shunt.model import Bucket, Entry, Event, Intent, Job, ObjectRef, Pin, Recall, Upload
from s3shunt.policy.claims import Claims

Pk = tuple[str, str, bytes, str]


class Kept:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows: dict[Pk, Entry] = {}
        self._intents: dict[str, Intent] = {}
        self._recalls: dict[str, Recall] = {}
        self._jobs: dict[int, Job] = {}
        self._events: dict[int, Event] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._uploads: dict[str, Upload] = {}
        self._publish: dict[int, ObjectRef] = {}
        self._uses: dict[Pk, int] = {}
        self._pins: dict[tuple[str, str, bytes], Pin] = {}
        self._numbers: dict[str, int] = {}
        self._claims = Claims()
        self._serial = 0

    def _next(self) -> int:
        self._serial += 1
        return self._serial


def primary(ref: ObjectRef) -> Pk:
    return (ref.account, ref.bucket, ref.key.encode(), ref.version or "null")
