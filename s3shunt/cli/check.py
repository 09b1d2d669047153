"""``s3shunt check``: what an ini means, before anything runs on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import click

from s3shunt import config, connect
from s3shunt.cli import say, walk
from s3shunt.config import ConfigError, Ini
from s3shunt.model import ObjectRef
from s3shunt.protocol.errors import S3Error, ServiceUnavailable
from s3shunt.server import descriptors

BROUGHT = ("cafile", "credentials", "ffprobe", "password_file")
"""Options that name a file, which somebody else puts there."""


@click.command()
@click.argument("ini", type=click.Path(path_type=Path, dir_okay=False), default=say.DEFAULT_INI)
@click.option("--probe", is_flag=True, help="Also connect to what the sections name, and say what answers.")
@click.option("--sample", is_flag=True, help="Print the ini with every option it leaves out, as comments with default and help.")
@click.option("--reference", is_flag=True, help="Print the tables of all options as Markdown.")
@say.with_json
def check(ini: Path, *, probe: bool, sample: bool, reference: bool, as_json: bool) -> None:
    """Judge an INI without connecting to anything: order, options, references.

    Prints the walk of each pipeline and every resolved option, secrets hidden.
    """
    if reference or sample:
        from s3shunt.cli import sample as samples

        print(samples.reference() if reference else samples.expand(ini.read_text(), Ini(ini)), end="")
        return
    found = Ini(ini)
    walk.judge(found)
    for line in (*_walks(found), *_sections(found), *_remarks(found)):
        _show(line, as_json=as_json)
    if probe:
        answers = _probe(connect.House(found))
        for line in answers:
            _show(line, as_json=as_json)
        if any(line.get("answer", "ok") != "ok" for line in answers):
            raise SystemExit(1)


def _walks(ini: Ini) -> list[dict[str, Any]]:
    return [{"pipeline": name, "walk": [door.name for door in doors]} for name, doors in walk.pipelines(ini).items()]


def _sections(ini: Ini) -> list[dict[str, Any]]:
    house = {"section": "DEFAULT", "options": {"state": str(ini.state), "day": ini.day}}
    return [house, *({"section": section.title, "options": _resolved(section)} for section in walk.sections(ini))]


def _resolved(section: walk.Section) -> dict[str, Any]:
    if section.options is None:
        return dict(section.values)
    shown = {}
    for option in config.declared(section.options):
        value = getattr(section.values, option.name)
        shown[option.name] = "(hidden)" if option.metadata["secret"] and value else _plain(value)
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)


def _remarks(ini: Ini) -> list[dict[str, Any]]:
    """What works, and should be known."""
    found = []
    for name in ini.names("store"):
        given = ini.section("store", name)
        if given.get("evict") == "unsafe" or given.get("evict_unsafe") in ("yes", "true", "on", "1"):
            found.append(f"[store:{name}] evicts by HEAD and DELETE: a write in between is lost. Versioning on there makes it safe.")
    if any(ini.section("catalog", name).get("url", "").startswith("memory") for name in ini.names("catalog")):
        found.append("a catalog in memory forgets everything at the end of the process.")
    if ini.policies():
        found.append("all writers must go through these pipelines: an object changed behind them is noticed late.")
    clients = sum(section.values.connections for section in walk.sections(ini) if section.kind == "listen")
    found += filter(None, [descriptors.shortage(clients, descriptors.most())])
    found += [f"[{title}] {name} = {path}: no such file yet." for title, name, path in _files(ini) if not path.exists()]
    return [{"remark": line} for line in found]


def _files(ini: Ini) -> Iterator[tuple[str, str, Path]]:
    """Files that somebody else has to put there, which are read when they are first wanted."""
    for section in walk.sections(ini):
        for option in config.declared(section.options) if section.options else ():
            value = getattr(section.values, option.name)
            if isinstance(value, Path) and option.name in BROUGHT:
                yield section.title, option.name, value


def _probe(house: connect.House) -> list[dict[str, Any]]:
    makers = {"catalog": house.truth, "keys": house.keys, "store": house.store, "archive": house.archive}
    named = [(kind, name) for kind in makers for name in house.ini.names(kind)]
    answers = [{"probe": f"{kind}:{name}", "answer": _asked(house, kind, makers[kind], name)} for kind, name in named]
    return [line for answer in answers for line in (answer, *_mannered(house, answer))]


def _asked(house: connect.House, kind: str, make: Any, name: str) -> str:
    """One harmless question to an adapter."""
    try:
        adapter = make(name)
        if kind == "catalog":
            adapter.jobs(limit=1)
            _index(house, name)
        elif kind == "keys":
            adapter.all()
        elif kind == "store":
            adapter.head(ObjectRef("s3shunt-probe", "-"))
        else:
            adapter.find(tag="s3shunt-probe")
    except (S3Error, ConfigError, OSError) as error:
        return f"{type(error).__name__}: {say.problem(error)}"
    return "ok"


def _index(house: connect.House, name: str) -> None:
    """Raises ServiceUnavailable for one that is named and does not answer: without it everything works, slower."""
    index: Any = house.meter(name)
    if index is None:
        return
    index.get(ObjectRef("s3shunt-probe", "-"))
    if index.down:
        raise ServiceUnavailable("its index does not answer, or wants another REDIS_PASSWORD")


def _mannered(house: connect.House, answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A store that clients reach, asked on scratch objects how it takes keys: what the ini has to say of that, and does not."""
    kind, _, name = answer["probe"].partition(":")
    if kind != "store" or answer["answer"] != "ok" or name not in _reached(house.ini):
        return
    store = house.store(name)
    if not isinstance(store, Mannered):
        return
    try:
        found = store.manners()
    except S3Error as error:
        yield {"remark": f"[store:{name}] could not be asked how it takes keys: {error}"}
        return
    if found.keys == "paths" and not store.paths:
        yield {"probe": answer["probe"], "answer": f"a//b is a/b to it, or /a/b is: set [store:{name}] keys = paths"}
    if found.order == "directory" and "bytes" in _orders(house.ini):
        yield {"probe": answer["probe"], "answer": "it lists a/b before a-b: set [filter:listing] order = directory"}
    if found.hides:
        yield {"remark": f"[store:{name}] hides a/b from its listings where there is a: such keys are not found by scan."}


@runtime_checkable
class Mannered(Protocol):
    """A store that can be asked how it takes keys."""

    paths: bool

    def manners(self) -> Any: ...


def _reached(ini: Ini) -> set[str]:
    """The stores that the apps forward to."""
    return {getattr(section.values, "store", "") for section in walk.sections(ini) if section.kind == "app"}


def _orders(ini: Ini) -> set[str]:
    """How the listing doors take their store to list."""
    return {getattr(section.values, "order", "") for section in walk.sections(ini) if section.kind == "filter"}


def _show(line: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say.document(line, as_json=True)
    elif "walk" in line:
        print(f"[pipeline:{line['pipeline']}]  " + " > ".join(line["walk"]))
    elif "section" in line:
        print(f"[{line['section']}]")
        for name, value in line["options"].items():
            print(f"    {name} = {' '.join(map(str, value)) if isinstance(value, list) else '' if value is None else value}")
    elif "probe" in line:
        print(f"[{line['probe']}]  {line['answer']}")
    else:
        print(f"note: {line['remark']}")
