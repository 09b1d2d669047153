"""``s3shunt keys``: who may speak to us."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from s3shunt import config
from s3shunt.cli import provision, say
from s3shunt.config import ConfigError, Ini
from s3shunt.model import Grant, Key
from s3shunt.protocol.listing import iso


@click.group()
def keys() -> None:
    """Access keys of clients."""


def _record(key: Key, *, secret: bool = False) -> dict[str, Any]:
    """A key as its file has it; the secret only where it was just drawn."""
    grants = None if key.grants is None else [{"buckets": g.buckets, "prefixes": g.prefixes, "allow": g.allow} for g in key.grants]
    found = {"access_key": key.access_key, "account": key.account, "expires": key.expires, "disabled": key.disabled, "grants": grants}
    return {**found, "secret_key": key.secret_key} if secret else found


def _line(key: Key) -> dict[str, Any]:
    """The same for people: when it ends, and what it may where."""
    may = None if key.grants is None else "; ".join(map(_may, key.grants)) or "nothing"
    ends = iso(key.expires)[:19] + "Z" if key.expires else None
    return {**_record(key), "expires": ends, "disabled": "yes" if key.disabled else "", "grants": may}


def _may(grant: Grant) -> str:
    where = [f"{bucket}/{prefix}" if prefix else bucket for bucket in grant.buckets for prefix in grant.prefixes]
    return f"{' '.join(where)}: {' '.join(grant.allow)}"


@keys.command("list")
@click.option("--name", default="main", show_default=True, help="Which [keys:NAME].")
@say.with_ini
@say.with_json
def list_(ini: Path, name: str, *, as_json: bool) -> None:
    """Every key, without its secret."""
    found = [_record(key) if as_json else _line(key) for key in say.house(ini).keys(name).all()]
    say.rows(("access_key", "account", "expires", "disabled", "grants"), found, as_json=as_json)


@keys.command()
@click.argument("account")
@click.option("--bucket", "buckets", multiple=True, help="Only these buckets (shell patterns); may be given often.")
@click.option("--prefix", "prefixes", multiple=True, help="Only keys that begin so.")
@click.option("--allow", default="read write delete list restore", show_default=True, help="Rights within them.")
@click.option("--lifetime", help="For so long only, such as 12h or 30d.")
@click.option("--name", default="main", show_default=True, help="Which [keys:NAME].")
@say.with_ini
@say.with_json
def add(
    *, ini: Path, name: str, account: str, buckets: tuple[str, ...], prefixes: tuple[str, ...],
    allow: str, lifetime: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Draw a new key for an ACCOUNT and print it; the secret is shown this once.

    Without --bucket and --prefix it has all rights in the account's buckets.
    """
    if account in ("", provision.WORKER):
        raise click.UsageError(f"account {account!r} is the workers' own")
    house = say.house(ini)
    grants = None
    if buckets or prefixes:
        grants = (Grant(buckets=buckets or ("*",), prefixes=prefixes or ("",), allow=config.words(allow)),)
    expires = house.clock.now() + _duration(lifetime) if lifetime else None
    key = Key(
        access_key=provision.access_key(), secret_key=provision.secret_key(), account=account, expires=expires, grants=grants
    )
    if "swift" in _children(house.ini):
        for path in provision.credential_files(house.ini):
            provision.credentials(path, {account})
    house.keys(name).save(key)
    say.document(_record(key, secret=True), as_json=as_json)


def _duration(value: str) -> int:
    try:
        return config.duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--lifetime") from None


def _children(ini: Ini) -> tuple[str, ...]:
    """What ``up`` starts here: a Swift of ours learns of a new account from its credentials file."""
    return config.words(ini.section("up", "").get("children", "")) if "up" in ini.sections() else ()


def _known(ini: Path, name: str, access_key: str) -> tuple[Any, Key]:
    adapter = say.house(ini).keys(name)
    key = next((key for key in adapter.all() if key.access_key == access_key), None)
    if key is None:
        raise ConfigError(f"[keys:{name}] has no key {access_key}")
    return adapter, key


@keys.command()
@click.argument("access_key")
@click.option("--name", default="main", show_default=True, help="Which [keys:NAME].")
@say.with_ini
@say.with_json
def rotate(ini: Path, name: str, access_key: str, *, as_json: bool) -> None:
    """Draw a new pair with the same rights; the old one works until it is disabled."""
    adapter, old = _known(ini, name, access_key)
    fresh = replace(old, access_key=provision.access_key(), secret_key=provision.secret_key())
    adapter.save(fresh)
    say.document(_record(fresh, secret=True), as_json=as_json)


@keys.command()
@click.argument("access_key")
@click.option("--name", default="main", show_default=True, help="Which [keys:NAME].")
@say.with_ini
@say.with_json
def disable(ini: Path, name: str, access_key: str, *, as_json: bool) -> None:
    """Refuse every request of this key from now on."""
    adapter, key = _known(ini, name, access_key)
    adapter.save(replace(key, disabled=True))
    say.document(_record(replace(key, disabled=True)), as_json=as_json)


@keys.command()
@click.option("--file", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="A keys file.")
@click.option("--access-key", default=None, help="Which one; by default the first.")
def export(path: Path, access_key: str | None) -> None:
    """Print a key of a file as shell exports, for eval in a shell."""
    records = json.loads(path.read_text())
    found = [record for record in records if access_key in (None, record["access_key"])]
    if not found:
        raise ConfigError(f"{path}: has no key {access_key}")
    for variable, field in (("AWS_ACCESS_KEY_ID", "access_key"), ("AWS_SECRET_ACCESS_KEY", "secret_key")):
        print(f"export {variable}={shlex.quote(found[0][field])}")
