"""An ini resolved without connecting to anything: each section with the options its declaration makes of it.

Reads what ``serve`` and ``work`` would read, and raises the same ConfigError.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from s3shunt import config, connect
from s3shunt.config import ConfigError, Ini
from s3shunt.policy import order

FACTORIES = {"filter": "paste.filter_factory", "app": "paste.app_factory"}
ADAPTERS = ("catalog", "keys", "store", "archive")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the ini, the class that declares its options, and what was given for them."""

    kind: str
    name: str
    options: type | None
    values: Any = None

    @property
    def title(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True, slots=True)
class Door:
    """One step of a pipeline: its name there, the entry point's name ('' when foreign) and its options."""

    name: str
    kind: str
    options: type | None
    values: Any

    @property
    def entry(self) -> str:
        return self.kind or self.name


def titles(ini: Ini) -> list[tuple[str, str]]:
    """Every section of the file as (kind, name)."""
    return [(kind, name) for kind, _, name in (title.partition(":") for title in ini.sections())]


def sections(ini: Ini) -> Iterator[Section]:
    """Every section but the pipelines', resolved. Raises ConfigError at the first that cannot be."""
    for kind, name in titles(ini):
        if kind in ("pipeline", "composite"):
            continue
        if kind in FACTORIES:
            door = _door(ini, kind, name)
            yield Section(kind, name, door.options, door.values)
        else:
            yield _declared(ini, kind, name)


def _declared(ini: Ini, kind: str, name: str) -> Section:
    options = _options(ini, kind, name)
    given = ini.section(kind, name)
    if kind in ADAPTERS and (like := given.pop("like", None)):
        given = {**ini.section(kind, like), **given}
    values = config.read(options, f"{kind}:{name}" if name else kind, given)
    if kind == "policy":
        config.policy(name, values)
    if index := getattr(values, "index", None):
        connect.index_class(name, index)
    return Section(kind, name, options, values)


def _options(ini: Ini, kind: str, name: str) -> type:
    if kind in ADAPTERS:
        found: type = connect.adapter_class(ini, kind, name).Options
        return found
    if kind == "job":
        return options_of(_entry("s3shunt.jobs", name, f"job:{name}").load())
    if kind in ("policy", "listen") or (kind == "up" and not name):
        return declaration(kind)
    raise ConfigError(f"[{kind}{':' if name else ''}{name}] is no section of ours: expected {_expected()}")


def declaration(kind: str) -> type:
    """The options of a section that no adapter reads."""
    if kind == "policy":
        return config.PolicyOptions
    if kind == "up":
        from s3shunt.cli import children

        return children.Options
    from s3shunt.server import listen

    return listen.Options


def _expected() -> str:
    return "pipeline:, filter:, app:, catalog:, keys:, store:, archive:, policy:, job:, listen: and a name, or up"


def options_of(made: Any) -> type:
    """The Options of a factory or class, or of the module around it."""
    return getattr(made, "options", None) or getattr(made, "Options", None) or inspect.getmodule(made).Options  # type: ignore[union-attr]


def _entry(group: str, name: str, section: str) -> EntryPoint:
    known = {point.name: point for point in entry_points(group=group) if point.value.startswith("s3shunt.")}
    if name not in known:
        raise ConfigError(f"[{section}]: there is no {name}: expected one of {', '.join(sorted(known))}")
    return known[name]


def pipelines(ini: Ini) -> dict[str, list[Door]]:
    """The doors of each pipeline, outermost first."""
    return {name: list(_doors(ini, name)) for name in ini.names("pipeline")}


def _doors(ini: Ini, pipeline: str) -> Iterator[Door]:
    given = ini.section("pipeline", pipeline)
    if unknown := sorted(given.keys() - {"pipeline"}):
        raise ConfigError(f"[pipeline:{pipeline}] has no option {unknown[0]}: expected pipeline")
    *doors, app = given.get("pipeline", "").split() or [""]
    if not app:
        raise ConfigError(f"[pipeline:{pipeline}] needs pipeline: the doors in their order, and an app")
    for name in doors:
        yield _named(ini, pipeline, "filter", name)
    yield _named(ini, pipeline, "app", app)


def _named(ini: Ini, pipeline: str, kind: str, name: str) -> Door:
    if name in ini.names(kind):
        return _door(ini, kind, name)
    other = "app" if kind == "filter" else "filter"
    if name in ini.names(other):
        return _door(ini, other, name)  # out of place: the order table says so
    raise ConfigError(f"[pipeline:{pipeline}] pipeline = ... {name} ...: expected a section [{kind}:{name}]")


def _door(ini: Ini, kind: str, name: str) -> Door:
    section = f"{kind}:{name}"
    given = ini.section(kind, name)
    use = given.pop("use", "")
    if not use.startswith("egg:s3shunt#"):
        if not use and "paste.filter_factory" not in given and "paste.app_factory" not in given:
            raise ConfigError(f"[{section}] needs use: expected egg:s3shunt#NAME, or another house's")
        return Door(name, "", None, given)
    entry = use.removeprefix("egg:s3shunt#")
    factory = _entry(FACTORIES[kind], entry, section).load()
    options = options_of(factory)
    return Door(name, entry, options, config.read(options, section, given))


def judge(ini: Ini) -> None:
    """Raise ConfigError for an order that cannot work, a name that leads nowhere, or bytes that could be lost."""
    _defaults(ini)
    _ambiguous(ini)
    every = list(sections(ini))
    walks = pipelines(ini)
    for name, doors in walks.items():
        for refusal in order.refusals([door.entry for door in doors]):
            raise ConfigError(f"[pipeline:{name}] pipeline = ... {refusal.door} ...: {refusal.reason}")
    for section in every:
        _references(ini, section)
    _eviction(ini, walks)


def _defaults(ini: Ini) -> None:
    """PasteDeploy drops an option of a section that [DEFAULT] has too; a Swift's own ini may hold what it likes."""
    if ini.foreign_defaults and all(ini.section("app", name).get("use", "").startswith("egg:s3shunt#") for name in ini.names("app")):
        name, value = next(iter(ini.foreign_defaults.items()))
        raise ConfigError(f"[DEFAULT] {name} = {value}: expected only state and day here")


def _ambiguous(ini: Ini) -> None:
    """PasteDeploy looks for pipelines and apps under one name."""
    for name in ini.names("pipeline"):
        if name in (*ini.names("app"), *ini.names("composite")):
            raise ConfigError(f"[pipeline:{name}] and [app:{name}]: expected another name for one of them")


REFERENCES = {"catalog": "catalog", "keys": "keys", "store": "store", "archive": "archive", "landing": "store", "delivery": "store"}


def _references(ini: Ini, section: Section) -> None:
    """An option that is named after a kind of section holds the name of one."""
    for option in config.declared(section.options) if section.options else ():
        named = getattr(section.values, option.name)
        kind = REFERENCES.get(option.name)
        if kind and isinstance(named, str) and named != "none" and "://" not in named and named not in ini.names(kind):
            raise ConfigError(f"[{section.title}] {option.name} = {named}: expected the name of a section [{kind}:NAME]")
    if section.kind == "listen" and section.values.app not in (*ini.names("pipeline"), *ini.names("app"), *ini.names("composite")):
        raise ConfigError(f"[{section.title}] app = {section.values.app}: expected the name of a section [pipeline:NAME]")


def _eviction(ini: Ini, walks: dict[str, list[Door]]) -> None:
    evicting = [policy.name for policy in ini.policies() if policy.evict_after is not None or policy.high is not None]
    if not evicting:
        return
    for name, doors in walks.items():
        entries = [door.entry for door in doors]
        for door in ("record", "shunt"):
            if "proxy" in entries and door not in entries:
                raise ConfigError(
                    f"[policy:{evicting[0]}] evict: expected {door} in [pipeline:{name}]: "
                    f"a pipeline without it reaches the store from which this policy evicts"
                )
