"""bench/plot.py FILE.json ... > docs/performance.svg: what ``bench/run --json`` found, as bars: how often our rate is that of a peer.

Of a comparison that is in several files the last one counts. The axis is logarithmic: a bar to the right of 1 is a peer
that is slower than we are. A goal is a mark on its bar.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

GOALS = {
    ("P1", "ours, header"): 0.5,
    ("P3", "nginx + njs, signing only"): 1.4, ("P3", "nginx + njs, redirect and filter"): 1.4,
    ("P4", "Swift"): 50, ("P4", "s3rver"): 12, ("P4", "moto_server"): 45, ("P4", "S3Proxy"): 1, ("P4", "rclone"): 1,
    ("P6", "ours, 1"): 0.95, ("P6", "ours, 4"): 0.95, ("P7", "ours, unsigned"): 3.5, ("P7", "ours, signed"): 1.35, ("P11", "ours"): 0.6,
}  # fmt: skip
AGAINST = {
    "P1": "4 KiB GET / nginx proxy_pass", "P3": "4 KiB GET", "P4": "4 KiB GET", "P6": "256 MiB GET / nginx, 16 256k; streams",
    "P7": "256 MiB PUT / nginx unbuffered", "P11": "HEAD / nginx return 200",
}  # fmt: skip
WIDTH, LABELS, RIGHT, ROW, TOP = 960, 400, 110, 26, 64
MET, MISSED, MEASURED = "#2e7d4f", "#c0522d", "#4a6fa5"
FONT = "font-family:Helvetica,Arial,sans-serif"


@dataclass(frozen=True)
class Bar:
    label: str
    ratio: float
    goal: float | None

    @property
    def colour(self) -> str:
        if self.goal is None:
            return MEASURED
        return MET if self.ratio >= self.goal else MISSED


def bars(found: dict[str, Any]) -> Iterator[Bar]:
    """In the order of the comparisons, each from the slowest peer to the fastest."""
    for case in sorted(AGAINST.keys() & found.keys(), key=lambda name: int(name[1:])):
        rows = [row for row in found[case]["rows"] if row["who"].startswith("ours") and "ratio" in row]
        for row in sorted(rows, key=lambda row: -row["ratio"]):
            yield bar(case, row)


def bar(case: str, row: dict[str, Any]) -> Bar:
    what = row.get("peer", row["who"])
    goal = next((goal for (own, name), goal in GOALS.items() if own == case and what.startswith(name)), None)
    label = f"{AGAINST[case]} / {what}" if "peer" in row else f"{AGAINST[case]}: {what.removeprefix('ours, ')}"
    return Bar(f"{case}  {label}", row["ratio"], goal)


def loads(found: dict[str, Any]) -> str:
    """The least and the most that was noted beside a shown figure."""
    noted = [row["load"][0] for case in AGAINST.keys() & found.keys() for row in (found[case], *found[case]["rows"]) if "load" in row]
    return f"Load average {min(noted):.1f} to {max(noted):.1f}"


class Scale:
    """Whole decades, 1 among them."""

    def __init__(self, values: list[float]) -> None:
        self.least = min(math.floor(math.log10(min(values))), 0)
        self.most = max(math.ceil(math.log10(max(values))), 1)

    def __call__(self, value: float) -> float:
        return LABELS + (WIDTH - LABELS - RIGHT) * (math.log10(value) - self.least) / (self.most - self.least)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.least, self.most + 1)]


def drawn(shown: list[Bar], note: str) -> str:
    height = TOP + ROW * len(shown) + 64
    size = {"viewBox": f"0 0 {WIDTH} {height}", "width": str(WIDTH), "height": str(height)}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "style": FONT})
    SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    text(root, 16, 26, "Our rate, as a multiple of each peer's in the same rounds", size=17, weight="bold")
    text(root, 16, 46, f"One core each; logarithmic. {note}", size=12, fill="#555555")
    scale, bottom = Scale([value for one in shown for value in (one.ratio, one.goal or one.ratio)]), TOP + ROW * len(shown) + 4
    for decade in scale.decades():
        line(root, scale(decade), TOP - 4, bottom, "#333333" if decade == 1 else "#dddddd")
        text(root, scale(decade), bottom + 16, f"{decade:g}", anchor="middle", size=12)
    for number, one in enumerate(shown):
        _row(root, scale, TOP + ROW * number, one)
    _legend(root, height - 18)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _row(root: Element, scale: Scale, y: float, one: Bar) -> None:
    begin, end = sorted((scale(1), scale(one.ratio)))
    text(root, LABELS - 10, y + 17, one.label, anchor="end", size=12)
    box = {"x": f"{begin:.1f}", "y": f"{y + 4}", "width": f"{max(end - begin, 1):.1f}", "height": str(ROW - 8), "fill": one.colour}
    SubElement(root, "rect", box)
    if one.goal is not None:
        line(root, scale(one.goal), y + 1, y + ROW - 1, "#111111", width=3)
    text(root, max(end, scale(one.goal or one.ratio)) + 8, y + 17, f"{one.ratio:.3g}", size=12, weight="bold")


def _legend(root: Element, y: float) -> None:
    for x, colour, said in ((16, MET, "goal met"), (110, MISSED, "goal missed"), (220, MEASURED, "measured, no goal")):
        SubElement(root, "rect", x=str(x), y=str(y - 10), width="12", height="12", fill=colour)
        text(root, x + 18, y, said, size=12)
    line(root, 372, y - 12, y + 3, "#111111", width=3)
    text(root, 380, y, "the goal", size=12)


def text(
    root: Element, x: float, y: float, said: str, *, size: int, anchor: str = "start", weight: str = "normal", fill: str = "#111111"
) -> None:
    style = {"font-size": str(size), "text-anchor": anchor, "font-weight": weight, "fill": fill}
    SubElement(root, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", **style}).text = said


def line(root: Element, x: float, top: float, bottom: float, colour: str, width: int = 1) -> None:
    ends = {"x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": f"{top}", "y2": f"{bottom}"}
    SubElement(root, "line", {**ends, "stroke": colour, "stroke-width": str(width)})


def main() -> None:
    found: dict[str, Any] = {}
    for name in sys.argv[1:]:
        found |= json.loads(Path(name).read_text())
    shown = list(bars(found))
    if not shown:
        raise SystemExit("there is nothing to show: expected files of bench/run --json with P1, P3, P4, P6, P7 or P11")
    sys.stdout.write(drawn(shown, loads(found)))


if __name__ == "__main__":
    main()
