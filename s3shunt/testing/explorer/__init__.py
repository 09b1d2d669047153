"""Walks every interleaving of what clients and workers do to one key, over the real pure steps.

A scenario is a start and some actors; ``explore`` goes breadth first through all
orders of their steps, with workers and doors that die anywhere, leases that lapse
while their holder lives, and deletions that arrive late. The shortest way to each
violation comes back, as the list of its steps.
"""

from collections import deque
from collections.abc import Sequence

from s3shunt.testing.explorer.world import Actor, World, key, moves, verdict

__all__ = ["Actor", "World", "explore"]

LIMIT = 150_000


def explore(start: World, actors: Sequence[Actor]) -> dict[str, list[str]]:
    """What went wrong, and the shortest way there. Empty: nothing can, in no order."""
    seen: dict[object, tuple[object, str] | None] = {key(start): None}
    queue, found = deque([start]), {}
    while queue:
        world = queue.popleft()
        here = key(world)
        following = moves(world, actors)
        wrong = world.wrong or (verdict(world) if not following else "")
        if wrong:
            found.setdefault(wrong.partition(":")[0], _way(seen, here))
            continue
        for label, after in following:
            name = key(after)
            if name not in seen:
                seen[name] = (here, label)
                queue.append(after)
        if len(seen) > LIMIT:
            raise RuntimeError(f"more than {LIMIT} states: this scenario is too large to be walked")
    return found


def _way(seen: dict[object, tuple[object, str] | None], last: object) -> list[str]:
    steps = []
    while before := seen[last]:
        last, label = before
        steps.append(label)
    return steps[::-1]
