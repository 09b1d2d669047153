"""The state of each key that changes, for people to read; what is shown, and under which names: ``policy/view``."""

from typing import Any

from s3shunt.model import Entry, ObjectRef
from s3shunt.policy import view

GONE = 60_000
"""For so long it is shown that a key is gone: whoever is late with what it was before comes too late."""

SHOW = """
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  local shown = redis.call('HGET', KEYS[1], 'change')
  if shown and tonumber(shown) > tonumber(ARGV[2]) then return end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('HSET', KEYS[1], 'change', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""


def show(link: Any, number: int, ref: ObjectRef, entry: Entry | None, *, now: int, keep: int) -> None:
    """What is shown already stays where it is of a later change."""
    told = [text for pair in view.fields(entry, now).items() for text in pair]
    link.call("EVAL", SHOW, 1, view.label(ref), keep if entry is not None else min(keep, GONE), number, *told)
