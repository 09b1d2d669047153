"""Patterns that an operator writes over keys: regular expressions whose time grows with the key, not with its cunning.

A client chooses the keys, so a pattern that backtracks without bound would let
him stop the house. What is refused: repeating a group, more than two repetitions
without bound (a final ``.*`` is free: it never has to try again), so many
optional parts that one key could fit in millions of ways, looking around, and references to groups.
"""

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

LONGEST = 1024
"""Bytes of a key, in S3."""

SHORT = 16
"""Up to so many repetitions count as bounded."""

UNBOUNDED = 2

WAYS = 1 << 24
"""Ways in which a pattern may be tried on the longest key: a fraction of a second."""

_ONE = {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}
_REPEATS = {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """For ``found``. Raises ValueError, saying what is expected."""
    try:
        made = re.compile(pattern, re.DOTALL)
        parsed = list(_parser.parse(pattern, re.DOTALL))
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    if made.groups != 1:
        raise ValueError("expected a regular expression with exactly one group in parentheses")
    if made.flags & ~(re.DOTALL | re.UNICODE):
        raise ValueError("expected a regular expression without flags")
    if parsed and _anything(parsed[-1]):
        parsed.pop()
    unbounded = _unbounded(parsed)
    if unbounded > UNBOUNDED:
        raise ValueError(f"expected at most {UNBOUNDED} of '*', '+' and '{{n,}}', besides a '.*' at the end")
    if _ways(parsed) * LONGEST**unbounded > WAYS:
        raise ValueError("expected fewer ways for one key to fit: fewer of '?', '|' and '{m,n}'")
    return made


def found(pattern: str, key: str) -> str | None:
    """What the group holds when the pattern fits the whole key; None when it does not, or holds nothing."""
    if len(key) > LONGEST:
        return None
    fits = compiled(pattern).fullmatch(key)
    return (fits[1] or None) if fits else None


def _anything(item: tuple[Any, Any]) -> bool:
    kind, value = item
    return kind in _REPEATS and value[0] == 0 and value[1] is op.MAXREPEAT and [one[0] for one in value[2]] == [op.ANY]


def _unbounded(items: Any) -> int:
    """How many repetitions may try again and again. Raises ValueError for what has no bound at all."""
    count = 0
    for kind, value in items:
        if kind in _ONE or kind is op.AT:
            continue
        if kind is op.BRANCH:
            count += sum(_unbounded(branch) for branch in value[1])
        elif kind in (op.SUBPATTERN, op.ATOMIC_GROUP):
            count += _unbounded(value[-1] if kind is op.SUBPATTERN else value)
        elif kind in _REPEATS:
            count += _repeated(*value)
        else:
            raise ValueError("expected a regular expression that neither looks around nor refers to its groups")
    return count


def _repeated(_least: int, most: int, items: Any) -> int:
    if most <= 1:
        return _unbounded(items)
    if len(items) != 1 or items[0][0] not in _ONE:
        raise ValueError("expected a regular expression that repeats only single characters and [sets], no (groups)")
    return int(most > SHORT)


def _ways(items: Any) -> int:
    """In how many ways what is bounded may be tried, one after the other."""
    ways = 1
    for kind, value in items:
        if kind is op.BRANCH:
            ways *= sum(_ways(branch) for branch in value[1])
        elif kind in (op.SUBPATTERN, op.ATOMIC_GROUP):
            ways *= _ways(value[-1] if kind is op.SUBPATTERN else value)
        elif kind in _REPEATS and value[1] <= SHORT:
            ways *= value[1] - value[0] + _ways(value[2])
    return ways
