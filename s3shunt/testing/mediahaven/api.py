"""The stand-in's answers: both generations of the API, and the control under ``/-/``. Knows nothing of sockets."""

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, unquote

from s3shunt.clock import Clock
from s3shunt.testing.mediahaven import deliver, shelves
from s3shunt.testing.mediahaven.knobs import Knobs
from s3shunt.testing.mediahaven.robot import Destination, Export, Robot
from s3shunt.testing.mediahaven.shelves import BadQuery, Shelves
from s3shunt.testing.mediahaven.tokens import Doorkeeper

V1, V2 = "/mediahaven-rest-api/resources", "/mediahaven-rest-api/v2"
SECTIONS = "application/vnd.mediahaven.v2+json"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def short(self) -> str:
        """As knobs name it: without the API's prefix."""
        return f"{self.method} {self.path.removeprefix(V1).removeprefix(V2)}"


Answer = tuple[int, Any]
NOT_FOUND: Answer = (404, {"code": 404, "message": "not found"})


class Api:
    def __init__(self, clock: Clock, knobs: Knobs | None = None) -> None:
        self.clock = clock
        self.knobs = knobs or Knobs()
        self.shelves, self.door = Shelves(), Doorkeeper()
        self.robot = Robot(lambda: self.knobs, self._destination, self._announced)
        self.lock = threading.RLock()
        self.calls: list[str] = []
        self.events: list[tuple[Export, bool]] = []
        self.destination: Destination | None = None
        self.crawl: Callable[[str], int] = lambda bucket: 0
        self._left: dict[tuple[str, int], int] = {}

    def turn(self) -> list[tuple[int | None, str, bool]]:
        """How far each export is now."""
        with self.lock:
            self.robot.turn(self.clock.now())
            return self.robot.stand()

    def set(self, **given: Any) -> None:
        """Turn knobs; the counts of faults begin anew."""
        with self.lock:
            self.knobs = self.knobs.turned(given)
            self._left = {key: left for key, left in self._left.items() if key[0] not in given}
            if "destination" in given:
                self.destination = deliver.destination(self.knobs.destination)

    def fault(self, kind: str, call: Call) -> Mapping[str, Any] | None:
        """What goes wrong with this call; each fault as often as its count says."""
        with self.lock:
            for number, fault in enumerate(getattr(self.knobs, kind)):
                left = self._left.setdefault((kind, number), fault.get("count", 1))
                if left and call.short.startswith(fault.get("on", "")):
                    self._left[kind, number] = left - 1
                    return dict(fault)
        return None

    def answer(self, call: Call) -> Answer:
        with self.lock:
            self.robot.turn(self.clock.now())
            try:
                if call.path.startswith("/-/"):
                    return self._control(call)
                self.calls.append(call.short)
                if call.path.startswith("/auth/") or call.path.endswith("/oauth/access_token"):
                    return self._token(call)
                return self._api(call)
            except (BadQuery, KeyError) as error:
                return 400, {"code": 400, "message": str(error)}

    def _destination(self) -> Destination | None:
        return self.destination

    def _announced(self, export: Export, good: bool) -> None:
        self.events.append((export, good))

    # Who may come in

    def _token(self, call: Call) -> Answer:
        form, now = dict(parse_qsl(call.body.decode("utf-8", "replace"))), self.clock.now()
        if call.path == "/auth/ropc.php":
            return self.door.login(form, self.knobs, now)
        if call.path == "/auth/oauth2/token":
            return self.door.refresh(form, self.knobs, now)
        return self.door.v1(call.headers.get("Authorization", ""), form, self.knobs, now)

    # The two generations

    def _api(self, call: Call) -> Answer:
        version = 2 if call.path.startswith(V2 + "/") else 1
        if not call.path.startswith((V1 + "/", V2 + "/")):
            return NOT_FOUND
        if not self.door.may(call.headers.get("Authorization", ""), version, self.knobs, self.clock.now()):
            return 401, {"code": 401, "message": "unauthorized"}
        room, _, rest = call.path.removeprefix(V1 if version == 1 else V2).strip("/").partition("/")
        acts = {"records" if version == 2 else "media": self._records, "exports": self._exports, "exportlocations": self._locations}
        return acts[room](call, version, unquote(rest)) if room in acts else NOT_FOUND

    def _locations(self, call: Call, version: int, id_: str) -> Answer:
        rows = [{"id": int(name), "name": f"location {name}", "httpAccessible": False} for name in self.knobs.locations]
        return (200, rows) if not id_ else next(((200, row) for row in rows if str(row["id"]) == id_), NOT_FOUND)

    def _records(self, call: Call, version: int, id_: str) -> Answer:
        flat = version == 1 and (self.knobs.flat or call.headers.get("Accept") != SECTIONS)
        if call.method == "DELETE" and version == 2:
            if not shelves.document(call.body).get("Reason"):
                return 400, {"code": 400, "message": "a reason is needed"}
            return (204, None) if self.shelves.held.pop(id_, None) else NOT_FOUND
        if id_:
            held = next((one for one in self.shelves.held.values() if id_ in (one.id, one.id[:32])), None)
            return (200, shelves.told(held, self.knobs, whole=True, flat=flat)) if held else NOT_FOUND
        query = shelves.value_of(call.query, "q", strict=self.knobs.strict)
        rows = [shelves.told(one, self.knobs, whole=False, flat=flat) for one in self.shelves.search(query, self.knobs)]
        page = shelves.page(rows, *self._window(call), self.knobs)
        if version == 2:
            return 200, page
        names = ("totalNrOfResults", "startIndex", "mediaDataList") if flat else ("TotalNrOfResults", "StartIndex", "MediaDataList")
        return 200, dict(zip(names, (page["TotalNrOfResults"], page["StartIndex"], page["Results"]), strict=True))

    def _window(self, call: Call) -> tuple[int, int]:
        asked = dict(parse_qsl(call.query))
        return int(asked.get("startIndex", "0")), int(asked.get("nrOfResults", "25"))

    def _exports(self, call: Call, version: int, id_: str) -> Answer:
        now = self.clock.now()
        if call.method == "POST" and not id_:
            return self._order(shelves.document(call.body), version)
        if id_:
            export = self.robot.exports.get(id_)
            told = self.robot.told(export, now) if export else None
            form = {"own": "array" if version == 1 else "object"}.get(self.knobs.job_form, self.knobs.job_form)
            return (200, [told] if form == "array" else told) if told else NOT_FOUND
        tag = shelves.value_of(call.query, "tag", strict=self.knobs.strict)
        if version == 1 or not tag:
            return NOT_FOUND
        rows = [told for one in self.robot.exports.values() if one.tag == tag and (told := self.robot.told(one, now))]
        return 200, shelves.page(rows, *self._window(call), self.knobs)

    def _order(self, asked: dict[str, Any], version: int) -> Answer:
        if version == 1:
            files = [(one["fragmentId"], one["filename"]) for one in asked["exports"]]
            location, path, tag = str(asked["exportOptions"]["exportLocationId"]), asked["destinationPath"], ""
        else:
            files = [(one["RecordId"], one["Filename"]) for one in asked["Records"]]
            location, path, tag = asked["ExportLocationId"], asked["DestinationPath"], asked.get("Tag", "")
        if location not in self.knobs.locations or any(record not in self.shelves.held for record, _ in files):
            return NOT_FOUND
        if not all(self.shelves.held[record].exportable for record, _ in files):
            return 403, {"code": 403, "message": "not exportable"}
        told = {"path": path, "location": location, "tag": tag, "version": version, "created": self.clock.now()}
        made = [Export(token_hex(12), self.shelves.held[record], name=name, **told) for record, name in files]
        self.robot.exports |= {one.id: one for one in made}
        return 200, [{**(self.robot.told(one, one.created) or {}), **({"status": "created"} if version == 1 else {})} for one in made]

    # The control

    def _control(self, call: Call) -> Answer:
        asked = shelves.document(call.body)
        match call.path.removeprefix("/-/"):
            case "state":
                return 200, self.state()
            case "knobs" if call.method == "POST":
                try:
                    self.set(**asked)
                except ValueError as error:
                    return 400, {"message": str(error)}
                return 200, self.knobs.written()
            case "ingest":
                body = base64.b64decode(asked.pop("body", ""))
                return 200, {"id": self.shelves.ingest(asked.pop("bucket"), asked.pop("key"), body, now=self.clock.now(), **asked).id}
            case "record":
                held = self.shelves.held[asked.pop("id")]
                vars(held).update({name: value for name, value in asked.items() if name in vars(held)})
                return 200, {"id": held.id}
            case "crawl":
                return 200, {"ingested": self.crawl(asked["bucket"])}
            case "cancel":
                self.robot.exports[asked["export"]].end = "cancelled"
                return 200, {}
            case "revoke":
                self.door.revoke()
                return 200, {}
        return NOT_FOUND

    def state(self) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "records": len(self.shelves.held), "mounts": self.robot.mounts, "logins": self.door.logins, "refreshed": self.door.refreshed,
            "exports": [
                {"id": one.id, "record": one.held.id, "name": one.name, "path": one.path, "location": one.location, "tag": one.tag,
                 "state": self.robot.state(one, now), "delivered": one.delivered} for one in self.robot.exports.values()
            ],
        }  # fmt: skip
