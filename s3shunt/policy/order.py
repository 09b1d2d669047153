"""Which doors may stand where: one table, read by ``s3shunt check`` and by every start.

A door outside another sees the request first and the answer last. What the
table does not name may stand anywhere, doors of other houses included.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """``outer`` stands outside ``inner`` when both are there; ``needed``: the inner one cannot do without."""

    outer: str
    inner: str
    reason: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place in a pipeline that cannot work."""

    door: str
    reason: str

    def __str__(self) -> str:
        return f"{self.door}: {self.reason}"


APPS = frozenset({"proxy", "permit", "notices"})
EITHER = frozenset({"metrics"})
"""Names of a door and of an app."""

RAISING = (
    "ratelimit_peer", "ratelimit", "virtual_host", "sigv4", "grants", "lookup", "restore", "listing", "record", "shunt", "proxy",
    "permit", "notices",
)  # fmt: skip
DECIDING = ("lookup", "restore", "listing", "record", "shunt", "proxy", "permit")
KNOWING = ("restore", "record", "shunt", "permit")

RULES = (
    *(Rule("errors", inner, f"what {inner} refuses becomes an answer in errors, and nowhere else", needed=True) for inner in RAISING),
    Rule("metrics", "errors", "a refusal passes metrics only as the answer that errors made of it"),
    Rule("guard", "errors", "guard answers by itself, before anything else is read"),
    Rule("access_log", "errors", "a refusal passes access_log only as the answer that errors made of it"),
    Rule("health", "virtual_host", "a bucket's host name would turn the health path into a key"),
    Rule("health", "sigv4", "who asks for health signs nothing"),
    Rule("health", "grants", "who asks for health is nobody, and would be refused"),
    Rule("virtual_host", "sigv4", "sigv4 looks at the operation, which is only known when the Host was read"),
    Rule("virtual_host", "grants", "grants judges the bucket that the Host names"),
    Rule("sigv4", "grants", "grants asks what an identity may do, and sigv4 finds out who it is", needed=True),
    Rule("sigv4", "ratelimit", "ratelimit counts by identity, and sigv4 finds out who it is", needed=True),
    *(Rule("grants", inner, f"{inner} acts only on what grants decided", needed=True) for inner in DECIDING),
    *(Rule("lookup", inner, f"{inner} acts on the entry that lookup finds", needed=True) for inner in KNOWING),
    Rule("lookup", "listing", "lookup tells listing whether the bucket has entries"),
    Rule("restore", "shunt", "what shunt serves from its place would lack x-amz-restore"),
)

OURS = frozenset(name for rule in RULES for name in (rule.outer, rule.inner))


def refusals(doors: Sequence[str]) -> list[Refusal]:
    """What cannot work in a pipeline of these doors, outermost first; the last one is where the corridor ends."""
    found = [*_misplaced_app(doors), *_repeated(doors)]
    for rule in RULES:
        if rule.inner not in doors:
            continue
        if rule.outer not in doors:
            found += [Refusal(rule.inner, f"expected {rule.outer} outside of it: {rule.reason}")] if rule.needed else []
        elif doors.index(rule.outer) > doors.index(rule.inner):
            found.append(Refusal(rule.inner, f"expected inside of {rule.outer}: {rule.reason}"))
    return found


def _misplaced_app(doors: Sequence[str]) -> list[Refusal]:
    if not doors:
        return [Refusal("pipeline", "expected at least an app")]
    early = [Refusal(door, "expected at the end: it is where the corridor ends") for door in doors[:-1] if door in APPS]
    return early + ([Refusal(doors[-1], "expected an app behind it: it is a door")] if doors[-1] in OURS - APPS - EITHER else [])


def _repeated(doors: Sequence[str]) -> list[Refusal]:
    twice = {door for number, door in enumerate(doors) if door in doors[:number]} & OURS
    return [Refusal(door, "expected once: it would do its work twice") for door in sorted(twice)]
