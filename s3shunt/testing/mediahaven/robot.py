"""The stand-in's export service: so many threads, first come first served within a priority, a mount for every change of tape."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from s3shunt.testing.mediahaven.deliver import Away
from s3shunt.testing.mediahaven.knobs import Knobs, of
from s3shunt.testing.mediahaven.shelves import Held


class Destination(Protocol):
    def there(self, path: str, name: str) -> bool: ...

    def put(self, path: str, name: str, body: bytes, *, temporary: bool) -> None: ...


@dataclass
class Export:
    id: str
    held: Held
    path: str
    name: str
    location: str
    tag: str
    created: int
    version: int = 2
    began: int | None = None
    ends: int | None = None
    end: str = ""  # how it ended, once it has
    delivered: bool = False
    announced: bool = False


@dataclass
class Thread:
    free_at: int = 0
    tape: str = ""


@dataclass
class Robot:
    knobs: Callable[[], Knobs]
    destination: Callable[[], Destination | None]
    announce: Callable[[Export, bool], None]
    exports: dict[str, Export] = field(default_factory=dict)
    threads: list[Thread] = field(default_factory=list)
    mounts: int = 0
    since: int = 0  # when it was switched on: nothing was done before

    def turn(self, now: int) -> None:
        """Everything that had the time to happen."""
        self._start(now)
        for export in list(self.exports.values()):
            self._finish(export, now)

    def stand(self) -> list[tuple[int | None, str, bool]]:
        """How far each export is."""
        return [(one.began, one.end, one.delivered) for one in list(self.exports.values())]

    def _start(self, now: int) -> None:
        knobs = self.knobs()
        self.threads = (self.threads + [Thread(self.since) for _ in range(knobs.threads)])[: knobs.threads]
        waiting = [one for one in list(self.exports.values()) if one.began is None and one.end != "cancelled"]
        while waiting and self.threads:
            thread = min(self.threads, key=lambda one: one.free_at)
            start = max(thread.free_at, min(one.created for one in waiting))
            if start > now:
                return
            chosen = min((one for one in waiting if one.created <= start), key=lambda one: (self._priority(one), one.created))
            waiting.remove(chosen)
            self._run(chosen, thread, start, knobs)

    def _priority(self, export: Export) -> int:
        knobs = self.knobs()
        priority = knobs.locations.get(export.location, 9)
        return priority if knobs.urgent == "low" else -priority

    def _run(self, export: Export, thread: Thread, start: int, knobs: Knobs) -> None:
        mounted = thread.tape == export.held.tape
        self.mounts += not mounted
        size = len(export.held.body)
        export.began = start
        export.ends = start + (0 if mounted else knobs.mount) + knobs.seek + (size * 1000 // knobs.rate if knobs.rate else 0)
        thread.free_at, thread.tape = export.ends, export.held.tape

    def _finish(self, export: Export, now: int) -> None:
        knobs = self.knobs()
        if export.ends is None or export.end == "cancelled":
            return
        planned = of(knobs.outcome, *export.held.names, default="completed")
        if now >= export.ends and not export.end:
            taken = not knobs.overwrite and (there := self.destination()) is not None and there.there(export.path, export.name)
            export.end = "already_exists" if taken and planned == "completed" else planned
            export.delivered = export.delivered or taken
        self._flip(export, now, knobs)
        due = export.ends + knobs.delay
        good = export.end in ("completed", "already_exists") or (not export.end and planned == "completed")
        if good and now >= due and not export.delivered:
            self._deliver(export, knobs)
        if export.end and not export.announced:
            export.announced = True
            self.announce(export, export.end in ("completed", "already_exists"))

    def _flip(self, export: Export, now: int, knobs: Knobs) -> None:
        """An operator has it done again."""
        after = of(knobs.flip, *export.held.names)
        if export.end == "failed" and after is not None and export.ends is not None and now >= export.ends + after:
            export.end, export.ends, export.announced = "completed", export.ends + after, False

    def _deliver(self, export: Export, knobs: Knobs) -> None:
        body, how = export.held.body, of(knobs.delivery, *export.held.names, default="right")
        made = {
            "right": body, "truncated": body[: len(body) // 2], "wrong": bytes(255 - byte for byte in body), "empty": b"",
        }.get(how)  # fmt: skip
        destination = self.destination()
        with suppress(Away):  # it is tried again
            if made is not None and destination is not None:
                destination.put(export.path, export.name, made, temporary=knobs.temporary)
            export.delivered = True

    # How a job is told

    def state(self, export: Export, now: int) -> tuple[str, int] | None:
        """v2's word and the progress; None while it has vanished."""
        knobs = self.knobs()
        window = of(knobs.vanish, *export.held.names)
        if window is not None and window[0] <= now - export.created < window[1]:
            return None
        if export.end:
            words = {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled", "already_exists": "AlreadyExists"}
            return words[export.end], 100 if export.end in ("completed", "already_exists") else 0
        if export.began is None or export.ends is None:
            return "Waiting", 0
        done = 100 * (now - export.began) // max(1, export.ends - export.began)
        return "InProgress", min(99, done // knobs.tick * knobs.tick)

    def told(self, export: Export, now: int) -> dict[str, Any] | None:
        state = self.state(export, now)
        if state is None:
            return None
        word, percent = state
        done = word in ("Completed", "AlreadyExists")
        url = f"s3://{export.path}/{export.name}" if done else ""
        if export.version == 1:
            return {"exportId": export.id, "status": V1[word], "downloadUrl": url, "progress": percent}
        named = export.name if self.knobs().file_names or done else export.held.fields.get("s3_object_key", "").rpartition("/")[2]
        return {
            "ExportJobId": export.id, "Name": named, "RecordId": export.held.id, "Status": word, "Progress": percent, "DownloadUrl": "",
            "RemoteUrl": url, "CreationDate": f"{export.created:020d}", "Tag": export.tag,
        }  # fmt: skip


V1: Mapping[str, str] = {
    "Waiting": "waiting", "InProgress": "in_progress", "Completed": "completed", "Failed": "failed", "Cancelled": "cancelled",
    "AlreadyExists": "already_exists_at_dst",
}  # fmt: skip
