"""Object lock: what holds a version, by the headers that HEAD answers of it."""

from collections.abc import Mapping
from datetime import UTC, datetime

MODE = "x-amz-object-lock-mode"
UNTIL = "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"


def holds(lock: Mapping[str, str], now: int, *, bypass: bool = False) -> bool:
    """Whether the version may not be deleted. A date that cannot be read holds for ever; ``bypass`` opens GOVERNANCE only."""
    if lock.get(HOLD, "").upper() == "ON":
        return True
    if not lock.get(MODE) or (bypass and lock[MODE].upper() == "GOVERNANCE"):
        return False
    until = moment(lock.get(UNTIL, ""))
    return until is None or until > now


def moment(text: str) -> int | None:
    """Milliseconds of an ISO 8601 date; None when it is none."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
