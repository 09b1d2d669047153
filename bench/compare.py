"""bench/run [--json] [--rounds N] [--front strict|stock] [NAME ...]: how fast it is, beside others, in the same minutes.

Without names: every comparison there is. Everything is started and stopped here. Rounds are interleaved, their
order is turned round every other time, and a ratio is the median of same-round ratios. CPU is the server's own
utime + stime: on a busy machine it is the figure to trust.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import cases
from lab import Lab


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{' '.join(name for own, _ in cases.CASES.values() for name in own)}")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--front", default="strict")
    return parser.parse_args()


def wanted(names: list[str]) -> list[str]:
    found = [name for name, (own, _) in cases.CASES.items() if not names or set(own) & set(names)]
    if unknown := set(names) - {name for own, _ in cases.CASES.values() for name in own}:
        raise SystemExit(f"no such comparison: {' '.join(sorted(unknown))}")
    return found


def number(value: float) -> str:
    if value >= 1e7:
        return f"{value / 1e9:.2f} G"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| | rate, median | best | CPU, median | least | rate / peer | CPU / peer |", "|---|---:|---:|---:|---:|---:|---:|"]
    for row in rows:
        cells = [number(row[name]) if name in row else "" for name in ("rate", "best", "cpu", "least_cpu", "ratio", "cpu_ratio")]
        lines.append(f"| {row['who']} ({row['unit']}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = asked()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="s3shunt-bench-") as home:
        where = Lab(Path(home), options.front)
        with where.kept:
            for name in wanted(options.names):
                made = cases.CASES[name][1](where, options.rounds)
                found[name] = {"rows": made, "load": os.getloadavg()}
                if not options.json:
                    print(f"\n## {' '.join(cases.CASES[name][0])}\n\n{cases.CASES[name][1].__doc__}\n\n{table(made)}\n", flush=True)
                    print(f"Load average {' '.join(f'{each:.1f}' for each in os.getloadavg())}; {options.rounds} rounds.", flush=True)
            versions = where.versions()
    if options.json:
        print(json.dumps({**found, "versions": versions}))
    else:
        print(f"\n{', '.join(f'{name} {value}' for name, value in versions.items())}")


if __name__ == "__main__":
    main()
