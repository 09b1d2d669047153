"""What the processes of one machine have counted, told by any of them (docs/metrics.md).

Each keeps its numbers in memory and leaves them in ``${state}/metrics/HOST-PID.json``. Whoever tells writes its own first and reads
those of the others: so whatever was once told is in a file, and no later teller says less.
"""

import json
import os
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from s3shunt.policy import tally
from s3shunt.policy.tally import Tally


class Numbers:
    """``tally`` only grows; ``gauges`` are what is at the moment: ``running`` requests, seconds the hub is ``late``."""

    def __init__(self, state: Path) -> None:
        self.tally = Tally()
        self.gauges: dict[str, float] = {"running": 0, "late": 0.0}
        self.folder = state / "metrics"
        self._last = ""
        self._lock = threading.Lock()  # of threads that write; never taken by a green thread

    def leave(self) -> None:
        """Write them for the others, if they changed. A folder that cannot be written costs the numbers, and nothing else."""
        with self._lock:
            said = json.dumps({**self.tally.written(), "gauges": self.gauges})
            if said != self._last and self._written(said):
                self._last = said

    def _written(self, said: str) -> bool:
        fresh = self.folder / f".{uuid4().hex}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(said, encoding="ascii")
            fresh.replace(self.folder / f"{socket.gethostname()}-{os.getpid()}.json")
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            return False
        return True

    def gathered(self) -> tuple[Tally, list[Counter[str]]]:
        """Of all processes: what they counted, and what is now with each that lives. What an ended one left becomes ours."""
        for path in self._files():
            if not alive(path):
                self._inherit(path)
        self.leave()
        total, gauges = Tally(), [Counter(self.gauges)]
        total.add(self.tally)
        for path in self._files():
            if process(path) != str(os.getpid()) and (found := read(path)):
                total.add(found[0])
                gauges.append(found[1])
        return total, gauges

    def _files(self) -> list[Path]:
        return list(self.folder.glob(f"{socket.gethostname()}-*.json"))

    def _inherit(self, path: Path) -> None:
        """Renamed first: of two who find it one has it."""
        mine = path.with_name(f".{os.getpid()}-{path.stem}")
        with suppress(FileNotFoundError):
            path.rename(mine)
            if found := read(mine):
                self.tally.add(found[0])
            mine.unlink()


def process(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def alive(path: Path) -> bool:
    """Whether the process that left the file still runs."""
    try:
        os.kill(int(process(path)), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def read(path: Path) -> tuple[Tally, Counter[str]] | None:
    """The numbers in a file; None when it is gone, or of another release."""
    try:
        document = json.loads(path.read_text(encoding="ascii"))
        return tally.read(document), Counter(document["gauges"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
