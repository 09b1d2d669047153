"""The house in numbers: files, functions, nesting, types, broad handlers, how much test there is; and the floors of coverage.

    python tests/mirror.py                       the table
    python tests/mirror.py --floors coverage.json    refuses less than 95 % of the lines, 90 % of the branches
"""

import ast
import json
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
FLOORS = {"lines": 95.0, "branches": 90.0}
NESTING = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
DEF = (ast.FunctionDef, ast.AsyncFunctionDef)


def python_files(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)


def lines(path):
    return len(path.read_text().splitlines())


def functions(paths):
    for path in paths:
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, DEF))


def length(node):
    return node.end_lineno - node.lineno + 1


def depth(node, level=0):
    """How deep blocks are nested in a function; an elif is no level of its own."""
    deepest = level
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*DEF, ast.Lambda)):
            continue
        chained = isinstance(node, ast.If) and [child] == node.orelse and isinstance(child, ast.If)
        deepest = max(deepest, depth(child, level + (isinstance(child, NESTING) and not chained)))
    return deepest


def typed(node):
    arguments = [a for a in (*node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
    return node.returns is not None and all(a.annotation for a in arguments)


def broad(path):
    handlers = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler))
    return sum(h.type is None or ast.unparse(h.type) in ("Exception", "BaseException") for h in handlers)


def spread(values):
    """Median, ninth decile, worst."""
    ordered = sorted(values) or [0]
    return f"{median(ordered):.0f} / {ordered[int(len(ordered) * 0.9)]} / {ordered[-1]}"


def row(name, paths):
    found = [node for _, node in functions(paths)]
    depths = sorted(depth(node) for node in found) or [0]
    share = 100 * sum(map(typed, found)) // max(1, len(found))
    return [
        name, len(paths), spread(lines(p) for p in paths), len(found), spread(length(n) for n in found),
        depths[int(len(depths) * 0.9)], depths[-1], f"{share} %", sum(map(broad, paths)),
    ]  # fmt: skip


HEAD = ["room", "files", "lines med/p90/max", "functions", "lines med/p90/max", "nest p90", "max", "typed", "broad"]


def table():
    source, tests = python_files("s3shunt"), python_files("tests")
    rooms = sorted({path.relative_to(ROOT / "s3shunt").parts[0] for path in source})
    rows = [row(room.removesuffix(".py"), [p for p in source if p.relative_to(ROOT / "s3shunt").parts[0] == room]) for room in rooms]
    rows += [row("s3shunt", source), row("tests", tests)]
    for cells in [HEAD, *rows]:
        print("  ".join(str(cell).rjust(max(len(str(r[i])) for r in [HEAD, *rows])) for i, cell in enumerate(cells)))
    print(f"\ntests : source = {sum(map(lines, tests)) / max(1, sum(map(lines, source))):.2f} : 1 by lines")
    for path, node in sorted(functions(source), key=lambda found: -length(found[1]))[:3]:
        print(f"longest: {path.relative_to(ROOT)}:{node.lineno} {node.name} {length(node)} lines")


def below_floors(path):
    totals = json.loads(Path(path).read_text())["totals"]
    seen = {
        "lines": 100 * totals["covered_lines"] / max(1, totals["num_statements"]),
        "branches": 100 * totals["covered_branches"] / max(1, totals["num_branches"]),
    }
    for what, percent in seen.items():
        print(f"coverage of {what}: {percent:.1f} % (floor {FLOORS[what]:g} %)")
    return any(percent < FLOORS[what] for what, percent in seen.items())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floors"]:
        sys.exit(below_floors(sys.argv[2]))
    table()
