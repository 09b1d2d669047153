"""What a parent hands down to the code that takes its place: its children, and the pipe that ends them when it ends."""

import os
from collections.abc import Mapping, MutableMapping

CHILDREN = "S3SHUNT_CHILDREN"
ALIVE = "S3SHUNT_ALIVE"


def hand_down(environ: MutableMapping[str, str], children: Mapping[int, int], alive: tuple[int, int]) -> None:
    """``children``: slots by process id. Both ends of the pipe stay open across the start of the new code."""
    environ[CHILDREN] = ",".join(f"{pid}:{slot}" for pid, slot in children.items())
    environ[ALIVE] = ",".join(map(str, alive))
    for number in alive:
        os.set_inheritable(number, True)  # noqa: FBT003  # the system's own words


def take(environ: MutableMapping[str, str]) -> tuple[dict[int, int], tuple[int, int]]:
    """What the code before handed down; nobody, and a pipe of our own, where there was none."""
    children = dict(map(int, entry.split(":")) for entry in environ.pop(CHILDREN, "").split(",") if entry)
    kept = [int(number) for number in environ.pop(ALIVE, "").split(",") if number]
    if len(kept) != 2:
        return children, os.pipe()
    for number in kept:
        os.set_inheritable(number, False)  # noqa: FBT003
    return children, (kept[0], kept[1])
