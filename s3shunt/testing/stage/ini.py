"""The ini of a site: every door, short waits, a library with quick hands."""

from collections.abc import Mapping
from pathlib import Path

from s3shunt.testing.stage.stores import Store

DOORS = ("access_log", "errors", "health", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt")
JOBS = ("archive", "evict", "recall", "expire", "discard", "sweep")
QUICK = {"every": "200ms", "retry": "200ms", "patience": "2s", "lease": "5s", "attempts": "100"}


def sections(home: Path, store: Store, *, name: str, port: int, index: bool, posix: bool, day: str) -> dict[str, dict[str, str]]:
    """A site as sections of options."""
    state = home / "state"
    main = {"url": f"s3+{store.endpoint}", "credentials": str(store.credentials), **store.settings}
    landing = {"url": f"posix://{home}/cache"} if posix else {"like": "main", "bucket": f"landing-{name}"}
    return {
        "DEFAULT": {"state": str(state), "day": day},
        "pipeline:main": {"pipeline": " ".join([*DOORS, "proxy"])},
        "listen:main": {"address": f"127.0.0.1:{port}", "app": "main", "connections": "2000", "drain": "5s"},
        **{f"filter:{door}": {"use": f"egg:s3shunt#{door}"} for door in DOORS},
        "filter:listing": {"use": "egg:s3shunt#listing", "order": store.order},
        "filter:record": {"use": "egg:s3shunt#record", "lease": "5s"},
        "app:proxy": {"use": "egg:s3shunt#proxy"},
        "catalog:main": {"url": f"sqlite:///{state}/catalog.db", "secret_file": f"{state}/secret"}
        | ({"index": f"redis+unix://{home}/redis.sock"} if index else {}),
        "keys:main": {"url": f"file://{state}/keys.json"},
        "store:main": main,
        "store:landing": landing,
        "archive:tape": {"url": f"tape://{home}/tape", "mount": "200ms", "seek": "10ms"},
        "policy:all": {"buckets": "*", "archive": "tape", "evict": "at once"},
        **{f"job:{job}": dict(QUICK) for job in JOBS},
        "job:recall": {**QUICK, "grace": "1s"},
        "job:audit": {"every": "0s"},
    }


def text(given: Mapping[str, Mapping[str, str]], more: Mapping[str, Mapping[str, str]]) -> str:
    """As it is written in a file. Options of ``more`` win."""
    merged = {title: {**given.get(title, {}), **more.get(title, {})} for title in [*given, *(t for t in more if t not in given)]}
    return "\n".join(f"[{title}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()) for title, options in merged.items())
