"""An ini with every option of its sections written out, and the page of all options: both made from the declarations."""

import textwrap
from collections.abc import Iterator
from dataclasses import Field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from s3shunt import config, connect
from s3shunt.cli import children, walk
from s3shunt.config import Ini

WIDTH = 118
FIRST = ("use", "like", "url", "pipeline")


def expand(source: str, ini: Ini) -> str:
    """The same ini: what it sets stays, what it leaves out stands there as a comment with its default; each with its help.

    Doing it twice is doing it once. Comments above a section's header are kept.
    """
    blocks = [_block(block, ini) for block in _blocks(source)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _blocks(source: str) -> list[list[str]]:
    """The file cut at its blank lines, and above each header with the comments that lead to it."""
    blocks: list[list[str]] = [[]]
    for line in source.splitlines():
        if not line.strip():
            blocks.append([])
            continue
        if line.startswith("["):
            blocks.append(_leading(blocks[-1]))
        blocks[-1].append(line)
    return [block for block in blocks if block]


def _leading(block: list[str]) -> list[str]:
    """The comments a block ends with, taken out of it."""
    count = len(block)
    while count and block[count - 1].startswith("#"):
        count -= 1
    taken = block[count:]
    del block[count:]
    return taken


def _block(lines: list[str], ini: Ini) -> str:
    header = next((number for number, line in enumerate(lines) if line.startswith("[")), None)
    if header is None:
        return "\n".join(lines)
    title = lines[header].strip("[] ")
    given = _given(lines[header + 1 :])
    return "\n".join([*lines[: header + 1], *_body(title, given, ini)])


def _given(lines: list[str]) -> dict[str, str]:
    """The options as written, ``${state}`` not filled in, continuation lines kept."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            found[name] += f"\n{line}"
            continue
        name, _, value = (part.strip() for part in line.partition("="))
        found[name] = value
    return found


def _body(title: str, given: dict[str, str], ini: Ini) -> Iterator[str]:
    declared = {option.name: option for option in _declared(title, ini)}
    names = [name for name in FIRST if name in given] + [name for name in declared if name not in FIRST or name not in given]
    taken_over = "like" in given  # what is not said here is the other section's, not the default
    for name in names + [name for name in given if name not in names]:
        if taken_over and name not in given:
            continue
        if name in declared:
            yield from textwrap.wrap(help_of(declared[name]), WIDTH, initial_indent="# ", subsequent_indent="# ")
        if name in given:
            yield f"{name} = {given[name]}".rstrip()
        else:
            yield f"#{name} = {declared[name].metadata['default'] or ''}".rstrip()


def _declared(title: str, ini: Ini) -> tuple[Field[Any], ...]:
    if title == "DEFAULT":
        return config.declared(config.HouseOptions)
    kind, _, _name = title.partition(":")
    if kind in ("pipeline", "composite"):
        return ()
    options = next(section.options for section in walk.sections(ini) if section.title == title)
    return config.declared(options) if options else ()


def help_of(option: Field[Any]) -> str:
    return str(option.metadata["help"])


def every() -> Iterator[tuple[str, str, type]]:
    """Everything that declares options: what it is in, how its section begins, and the declaration."""
    yield "The house", "[DEFAULT]", config.HouseOptions
    yield "The house", "[up]", children.Options
    yield "The house", "[listen:NAME]", walk.declaration("listen")
    yield "The house", "[policy:NAME]", config.PolicyOptions
    for group, heading, kind in (
        ("paste.filter_factory", "Doors", "filter"),
        ("paste.app_factory", "Where the corridor ends", "app"),
        ("s3shunt.jobs", "Jobs", "job"),
    ):
        for point in _ours(group):
            yield heading, f"[{kind}:{point.name}]", walk.options_of(point.load())
    for kind in walk.ADAPTERS:
        for point in _ours(connect.GROUPS[kind]):
            found = point.load()
            if hasattr(found, "Options"):
                yield "Adapters", f"[{kind}:NAME] url = {point.name}://", found.Options


def _ours(group: str) -> list[Any]:
    points = [point for point in entry_points(group=group) if point.value.startswith("s3shunt.")]
    return sorted(points, key=lambda point: point.name)


def reference() -> str:
    """docs/configuration.md from "## Options" on."""
    said, lines = "", ["## Options", "", "Made from the declarations by `s3shunt check --reference`."]
    for heading, title, options in every():
        if heading != said:
            lines += ["", f"### {heading}"]
            said = heading
        lines += ["", f"`{title}`", "", "| option | default | |", "|---|---|---|"]
        lines += [f"| `{o.name}` | {_default(o)} | {help_of(o).replace('|', '&#124;')} |" for o in config.declared(options)]
    return "\n".join(lines) + "\n"


def _default(option: Field[Any]) -> str:
    default = option.metadata["default"]
    if default is None:
        return "required"
    return f"`{default}`" if default else ""


def page(path: Path) -> str:
    """The page with its options as they are declared now."""
    return path.read_text(encoding="utf-8").partition("## Options")[0] + reference()
