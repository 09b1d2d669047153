"""An ini file becomes frozen, typed options; what is wrong stops the start with its address.

Every option is declared once, in the dataclass of the filter, adapter or job
that reads it: type, default as an operator would write it, help. The sample
ini, ``s3shunt check`` and the docs are made from these declarations.
"""

import os
import re
from collections.abc import Callable, Mapping
from configparser import Error as IniSyntaxError
from configparser import RawConfigParser
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from secrets import token_urlsafe
from tempfile import mkstemp
from typing import Any, TypeVar

from s3shunt.model import Policy
from s3shunt.protocol import patterns

T = TypeVar("T")

DAY = 86_400_000


class ConfigError(Exception):
    """What an operator has to mend: one line with section, option, value and expectation."""


def option(parse: Callable[[str], Any], default: str | None = None, *, help: str, secret: bool = False) -> Any:  # noqa: A002
    """Declare an option. Without a default it must be given; an empty default stands for "not set"."""
    kept = {"parse": parse, "help": help, "default": default, "secret": secret}
    if default is None:
        return field(metadata=kept, repr=not secret, kw_only=True)
    return field(default=None if default == "" else parse(default), metadata=kept, repr=not secret, kw_only=True)


def declared(options: type) -> tuple[Field[Any], ...]:
    """The option fields of a dataclass, in the order of their declaration."""
    return tuple(f for f in fields(options) if "parse" in f.metadata)


def read(options: type[T], section: str, given: Mapping[str, str]) -> T:
    """Parse one section. Raises ConfigError for an unknown, missing or malformed option, and for such as refuse each other.

    What must stand together the dataclass says itself: a ValueError of its ``__post_init__``.
    """
    known = {f.name: f for f in declared(options)}
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigError(f"[{section}] has no option {unknown[0]}: expected one of {', '.join(known) or 'none'}")
    if missing := [f.name for f in known.values() if f.default is MISSING and f.name not in given]:
        raise ConfigError(f"[{section}] needs {missing[0]}: {known[missing[0]].metadata['help']}")
    parsed = {name: parse(section, name, known[name].metadata, text) for name, text in given.items()}
    try:
        return options(**parsed)
    except ValueError as error:
        raise ConfigError(f"[{section}] {error}") from None


def parse(section: str, name: str, declaration: Mapping[str, Any], text: str) -> Any:
    if text == "" and declaration["default"] == "":
        return None
    try:
        return declaration["parse"](text)
    except ValueError as error:
        shown = "(hidden)" if declaration["secret"] else text
        raise ConfigError(f"[{section}] {name} = {shown}: {error}") from None


# The types an option may have. Each raises ValueError saying what it expected.


def text(value: str) -> str:
    if not value.strip():
        raise ValueError("expected some text")
    return value.strip()


def word(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise ValueError("expected one word of letters, digits, '_', '.' and '-'")
    return value


def words(value: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[\s,]+", value.strip()) if part)


def flag(value: str) -> bool:
    known = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
    try:
        return known[value.strip().lower()]
    except KeyError:
        raise ValueError("expected yes or no") from None


def number(value: str) -> int:
    if not re.fullmatch(r"[0-9]+", value.strip()):
        raise ValueError("expected a whole number")
    return int(value)


def duration(value: str) -> int:
    """Milliseconds, from '500ms', '90s', '15m', '12h' or '30d'; a bare number is seconds."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", value.strip())
    if found is None:
        raise ValueError("expected a duration such as 500ms, 90s, 15m, 12h or 30d")
    unit = {"ms": 1, "s": 1000, None: 1000, "m": 60_000, "h": 3_600_000, "d": DAY}[found[2]]
    return int(float(found[1]) * unit)


def size(value: str) -> int:
    """Bytes, from '1048576', '64K', '1M', '2G' or '1T' (powers of 1024)."""
    found = re.fullmatch(r"([0-9]+)([KMGT])?(?:i?B)?", value.strip())
    if found is None:
        raise ValueError("expected a size such as 1048576, 64K, 1M, 2G or 1T")
    return int(found[1]) << (10 * (" KMGT".index(found[2]) if found[2] else 0))


def some(parse: Callable[[str], int]) -> Callable[[str], int]:
    """A number, size or duration that may not be nothing."""

    def more_than_nothing(value: str) -> int:
        if not (found := parse(value)):
            raise ValueError("expected more than 0")
        return found

    return more_than_nothing


def choice(*allowed: str) -> Callable[[str], str]:
    def choose(value: str) -> str:
        if value.strip() not in allowed:
            raise ValueError(f"expected {' or '.join(allowed)}")
        return value.strip()

    return choose


def path(value: str) -> Path:
    if not value.strip():
        raise ValueError("expected a path")
    return Path(value.strip())


def url(value: str) -> str:
    if not re.match(r"[a-z0-9+.-]+://", value.strip()):
        raise ValueError("expected a URL with a scheme, such as http://127.0.0.1:8100")
    if re.match(r"[a-z0-9+.-]+://[^/@]*:[^/@]*@", value.strip()):
        raise ValueError("expected a URL without a password: secrets come from files or the environment")
    return value.strip()


def address(value: str) -> tuple[str, int]:
    host, colon, port = value.strip().rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def secret(path: Path) -> bytes:
    """The secret in a file. An absent file is made (0600) with a fresh one; who comes second reads what the first wrote."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = mkstemp(prefix=path.name, dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
        Path(fresh).unlink()
    kept = path.read_bytes().strip()
    if len(kept) < 16:
        raise ValueError(f"{path}: expected at least 16 bytes of secret")
    return kept


@dataclass(frozen=True)
class HouseOptions:
    """``[DEFAULT]``: the only two things that every section may see."""

    state: Path = option(path, "./var", help="Where this installation keeps its state; S3SHUNT_STATE in the environment wins.")
    day: int = option(duration, "24h", help="How long a day is: scales Days, the rounding of expiry, and 'after'. For demonstrations.")


@dataclass(frozen=True)
class PolicyOptions:
    """``[policy:NAME]``: which objects go to which archive, when, and when their bytes leave the store."""

    buckets: tuple[str, ...] = option(words, help="Buckets (shell patterns) this policy is for.")
    archive: str = option(word, help="Name of the [archive:NAME] that takes the objects.")
    prefix: str = option(str, "", help="Only keys that begin with this.")
    after: int | None = option(duration, "", help="Age at which objects go to the archive; empty: only by class at PUT.")
    min_size: int = option(size, "0", help="Objects smaller than this stay online.")
    max_size: int | None = option(size, "", help="Objects larger than this stay online.")
    storage_class: str = option(choice("GLACIER", "DEEP_ARCHIVE"), "GLACIER", help="Class clients see once the bytes left the store.")
    classes: tuple[str, ...] = option(words, "GLACIER DEEP_ARCHIVE", help="Classes at PUT that send an object to the archive at once.")
    copies: int = option(some(number), "1", help="Verified copies the archive must have before the bytes may leave the store.")
    evict: str = option(text, "at once", help="'at once', 'after DURATION', 'high PERCENT low PERCENT' (of the store), or 'never'.")
    after_read: str = option(
        choice("keep", "evict"), "keep", help="'evict': a copy leaves the cache, or the landing, once the whole of it was read; or 'keep'."
    )
    external_id: str | None = option(
        text, "", help="Where an external id comes from: 'key', 'x-amz-meta-NAME', or 'pattern REGEX', whose one group finds it in the key."
    )
    retain: int = option(duration, "0s", help="How long the archive's copy of an overwritten or deleted object is kept.")
    acl: str = option(
        choice("respect", "ignore"), "respect", help="'respect': objects that grant rights to others stay online; or 'ignore'."
    )


def policy(name: str, options: PolicyOptions) -> Policy:
    """A policy as decisions see it. Raises ConfigError for an ``evict`` or an ``external_id`` that cannot be read."""
    evict_after, high, low = _evict(f"policy:{name}", options.evict)
    return Policy(
        name=name,
        buckets=options.buckets,
        archive=options.archive,
        prefix=options.prefix or "",
        after=options.after,
        min_size=options.min_size,
        max_size=options.max_size,
        storage_class=options.storage_class,
        classes=options.classes,
        copies=options.copies,
        evict_after=evict_after,
        high=high,
        low=low,
        external_id=_external_id(f"policy:{name}", options.external_id),
        retain=options.retain,
        ignore_acl=options.acl == "ignore",
        read_once=options.after_read == "evict",
    )


def _evict(section: str, value: str) -> tuple[int | None, int | None, int | None]:
    if value == "at once":
        return 0, None, None
    if value == "never":
        return None, None, None
    if found := re.fullmatch(r"after (\S+)", value):
        return parse(section, "evict", {"parse": duration, "default": None, "secret": False}, found[1]), None, None
    found = re.fullmatch(r"high (\d+) low (\d+)", value)
    if found and int(found[2]) <= int(found[1]) <= 100:
        return None, int(found[1]), int(found[2])
    raise ConfigError(f"[{section}] evict = {value}: expected 'at once', 'never', 'after 7d' or 'high 85 low 75'")


def _external_id(section: str, value: str | None) -> str | None:
    if value is None or value == "key":
        return value
    if re.fullmatch(r"x-amz-meta-[!#$%&'*+.^_`|~0-9a-z-]+", value.lower()):
        return value.lower()
    kind, _, pattern = value.partition(" ")
    if kind != "pattern":
        raise ConfigError(f"[{section}] external_id = {value}: expected 'key', 'x-amz-meta-NAME' or 'pattern REGEX'")
    try:
        patterns.compiled(pattern.strip())
    except ValueError as error:
        raise ConfigError(f"[{section}] external_id = {value}: {error}") from None
    return f"pattern {pattern.strip()}"


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder, as Swift takes one, its ``*.conf`` in order."""
    return sorted(path.glob("[!.]*.conf")) if path.is_dir() else [path]


def _parse(parser: RawConfigParser, path: Path) -> None:
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(source.splitlines(), 1):
        if re.match(r"\[[^\]]*\]\s*[^\s#;]", line):
            raise ConfigError(f"{path}:{number}: text after a section header is lost: {line.strip()}: expected the header alone")
    try:
        parser.read_string(source, str(path))
    except IniSyntaxError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None


class Ini:
    """One ini file, with ``${state}`` and ``${here}`` filled in and its mistakes found early.

    PasteDeploy silently drops an option that ``[DEFAULT]`` already has, and
    configparser drops text behind a section header; both stop the start here.
    """

    def __init__(self, path: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.path = path.absolute()
        parser = RawConfigParser(strict=True, delimiters=("=",), inline_comment_prefixes=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # options are case-sensitive
        for file in _files(path):
            _parse(parser, file)
        defaults = dict(parser.defaults())
        self.foreign_defaults = {n: v for n, v in defaults.items() if n not in ("state", "day")}
        self.house = read(HouseOptions, "DEFAULT", {n: v for n, v in defaults.items() if n in ("state", "day")})
        state = environ.get("S3SHUNT_STATE") or str(self.house.state)
        self.state = (Path.cwd() / state).absolute()
        self.day = self.house.day
        self._sections = {name: self._own(parser, name) for name in parser.sections()}

    def _own(self, parser: RawConfigParser, name: str) -> dict[str, str]:
        own = dict(parser._sections[name])  # type: ignore[attr-defined]  # noqa: SLF001  # items() would add [DEFAULT]'s
        if repeated := [option for option in own if option in ("state", "day")]:
            raise ConfigError(f"[{name}] {repeated[0]} = {own[repeated[0]]}: expected only in [DEFAULT]")
        return {option: self.fill(value) for option, value in own.items()}

    def fill(self, value: str) -> str:
        return value.replace("${state}", str(self.state)).replace("${here}", str(self.path.parent))

    def names(self, kind: str) -> list[str]:
        """The NAMEs of all ``[kind:NAME]`` sections, in the order of the file."""
        return [name.partition(":")[2] for name in self._sections if name.partition(":")[0] == kind]

    def sections(self) -> list[str]:
        """The titles of all sections, in the order of the file."""
        return list(self._sections)

    def section(self, kind: str, name: str) -> dict[str, str]:
        """The options of ``[kind:name]``, or of ``[kind]`` for an empty name; ConfigError when there is none."""
        found = self._sections.get(f"{kind}:{name}" if name else kind)
        if found is None:
            known = ", ".join(f"[{kind}:{other}]" for other in self.names(kind)) or "none"
            raise ConfigError(f"[{kind}:{name}] is missing: expected such a section, known are {known}")
        return dict(found)

    def policies(self) -> tuple[Policy, ...]:
        named = ((name, read(PolicyOptions, f"policy:{name}", self.section("policy", name))) for name in self.names("policy"))
        return tuple(policy(name, options) for name, options in named)
