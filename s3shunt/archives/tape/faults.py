"""``faults.json`` in the library's directory: what goes wrong on purpose, in drills and tests. Read again on every use.

```json
{"offline": true,              // the library does not answer
 "write": "fail",              // or "lost answer": it is stored, and says it is not
 "request": "fail",            // or "lost answer"
 "recall": ["films/a.mxf"],    // these recalls fail, and may be asked again
 "lose": ["*"],                // no copy of these can be found any more
 "corrupt": ["films/a.mxf"],   // these come back with one bit turned
 "truncate": ["films/a.mxf"],  // these come back half
 "slow": 10}                   // everything takes ten times as long
```

Objects are named by ``bucket/key``, by archive id, or all of them by ``*``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s3shunt.protocol.errors import ServiceUnavailable


class Faults:
    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> Mapping[str, Any]:
        """Raises ServiceUnavailable when the library is offline, or the file is not JSON."""
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise ServiceUnavailable(f"{self._path.name} is not JSON") from None
        if told.get("offline"):
            raise ServiceUnavailable("The tape library is offline.")
        return dict(told)


def struck(faults: Mapping[str, Any], fault: str, *names: str) -> bool:
    told = faults.get(fault, ())
    return "*" in told or any(name in told for name in names)
