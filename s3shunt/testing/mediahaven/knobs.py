"""Everything that can be turned at the stand-in, as one JSON document. Times are milliseconds.

Where a knob names records, it does so by their id or by ``bucket/key``; ``*`` is all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Knobs:
    # who may come in
    username: str = "s3shunt"
    password: str = "mediahaven"
    client_id: str = "client"
    client_secret: str = "client-secret"
    token_lifetime: int = 1_800_000
    rotate: bool = True  # a refresh token is good for one use
    # the wire: {"on": "GET /records", "count": 3, ...}; "on" is the beginning of "METHOD path", the API's prefix left out
    refuse: tuple[Mapping[str, Any], ...] = ()  # + "status", "retry_after"
    slow: tuple[Mapping[str, Any], ...] = ()  # + "wait": the answer comes that much later, in real time
    drip: tuple[Mapping[str, Any], ...] = ()  # + "wait": so long between two bytes of the answer
    hang: tuple[Mapping[str, Any], ...] = ()  # + "wait": no answer, then the connection ends
    lose: tuple[Mapping[str, Any], ...] = ()  # it is done, and the connection breaks instead of an answer
    # what it says
    job_form: str = "own"  # of one job: 'own' (v1 array, v2 object), 'array', 'object'
    file_names: bool = True  # whether a job tells its file's name before it is delivered
    properties: str = "told"  # the dynamic fields: 'told', 'not in results', 'never'
    nested: bool = False  # values are lists within lists
    flat: bool = False  # v1 answers its flat form whatever was asked for
    dates: bool = True
    strict: bool = True  # '+' for a space and open quotes are refused
    loose: bool = False  # a search also finds what only contains the words, as an index of words would
    page: int = 100  # results on one page, whatever was asked for
    # the robot
    threads: int = 4
    mount: int = 3_000
    seek: int = 100
    rate: int = 0  # bytes per second; 0: no time at all
    tick: int = 10  # progress is told in steps of so many per cent
    urgent: str = "low"  # which end of the priorities goes first
    locations: Mapping[str, int] = field(default_factory=lambda: {"1188": 2, "1189": 1, "1190": 4})  # priority by id
    # how exports end, by record
    outcome: Mapping[str, str] = field(default_factory=dict)  # 'completed', 'failed', 'cancelled', 'already_exists'
    flip: Mapping[str, int] = field(default_factory=dict)  # a failed job completes so long after it failed
    vanish: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # a job is unknown from .. to .. after it was created
    # what arrives, by record
    delivery: Mapping[str, str] = field(default_factory=dict)  # 'right', 'truncated', 'wrong', 'empty', 'none'
    delay: int = 0  # from the status "completed" to the file; negative: the file comes first
    temporary: bool = True  # written under another name, then renamed
    overwrite: bool = True  # else a file that is there ends the job as already existing
    destination: Mapping[str, Any] = field(default_factory=dict)  # {"directory": ...} or {"endpoint", "access_key", "secret_key"}
    # webhooks: {"url", "user", "password", "version": 2 | 3, "duplicate": 2, "reverse": true, "lose": 3 (every third)}
    webhook: Mapping[str, Any] = field(default_factory=dict)

    def turned(self, given: Mapping[str, Any]) -> "Knobs":
        """Raises ValueError for a knob there is not."""
        known = {each.name for each in fields(self)}
        if unknown := sorted(given.keys() - known):
            raise ValueError(f"there is no knob {unknown[0]}")
        lists = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        return replace(self, **lists)

    def written(self) -> dict[str, Any]:
        return asdict(self)


def read(path: Path) -> dict[str, Any]:
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        raise TypeError(f"{path}: expected a JSON object of knobs")
    return told


def of(told: Mapping[str, Any], *names: str, default: Any = None) -> Any:
    """What a knob says of a record."""
    return next((told[name] for name in (*names, "*") if name in told), default)
