"""What every word of the command shares: the ini it reads, and two ways to answer, for people and for programs."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from s3shunt import connect
from s3shunt.config import Ini

DEFAULT_INI = "etc/proxy.ini"

@cache
def _console(name: str) -> Any:
    from rich.console import Console

    return Console(stderr=name == "err", highlight=False, soft_wrap=True)


def __getattr__(name: str) -> Any:
    """``err`` and ``out``: made when somebody has something to say, for ``serve`` has not."""
    if name not in ("err", "out"):
        raise AttributeError(name)
    return _console(name)


def with_ini(command: Callable[..., Any]) -> Callable[..., Any]:
    """The ``--config`` of a word; S3SHUNT_INI in the environment is the same."""
    return click.option(
        "-c", "--config", "ini", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT_INI, envvar="S3SHUNT_INI",
        show_default=True, help="The ini file.",
    )(command)  # fmt: skip


def with_account(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whose bucket: where bucket names are global, as the ini's [store:main] says, they are nobody's in particular."""
    return click.option(
        "--account", callback=lambda context, _, given: _whose(context) if given is None else given,
        help="Whose bucket; by default 'main', and nobody's where bucket names are global.",
    )(command)  # fmt: skip


def _whose(context: click.Context) -> str:
    ini = Ini(Path(context.params.get("ini") or os.environ.get("S3SHUNT_INI") or DEFAULT_INI))
    given = ini.section("store", "main") if "main" in ini.names("store") else {}
    return "main" if given.get("buckets") == "per account" or not given.get("url", "").startswith("s3+") else ""


def with_json(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document per line instead of a table.")(command)


def house(ini: Path) -> connect.House:
    return connect.house(ini)


def aloud() -> None:
    """Let what the house logs be read on stderr; what libraries tell only when it is a warning."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("s3shunt").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")  # known: docs/decisions say what follows from it


def problem(error: BaseException) -> str:
    """What was in the way, and in one line what was behind it: a refusal of ours does not say why a database is away."""
    why = str(error.__cause__ or "").partition("\n")[0]
    return f"{error} ({why})" if why else str(error)


def rows(columns: Sequence[str], found: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Rows for people, or one JSON object a line for programs."""
    if as_json:
        for row in found:
            print(json.dumps(row))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*("" if row.get(name) is None else str(row.get(name)) for name in columns))
    _console("out").print(table)


def document(value: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing in full."""
    if as_json:
        print(json.dumps(value))
        return
    for name, one in value.items():
        _console("out").print(f"{name:18} {one}", markup=False)
