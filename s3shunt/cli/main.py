"""``s3shunt``: one command, each word in a file of its own, loaded when it is said."""

import sys
from importlib import import_module
from typing import Any

import click

from s3shunt import __version__
from s3shunt.config import ConfigError
from s3shunt.protocol.errors import S3Error

WORDS = {
    "up": "up:up",
    "serve": "serve:serve",
    "work": "work:work",
    "check": "check:check",
    "demo": "demo:demo",
    "catalog": "catalog:catalog",
    "restore": "restore:restore",
    "recall": "recall:recall",
    "audit": "audit:audit",
    "keys": "keys:keys",
    "stand-in": "standin:standin",
}


class Words(click.Group):
    """The commands, imported only when used: ``s3shunt serve`` does not pay for ``s3shunt demo``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in WORDS:
            return None
        module, _, name = WORDS[cmd_name].partition(":")
        found: Any = getattr(import_module(f"s3shunt.cli.{module}"), name)
        return found  # type: ignore[no-any-return]


@click.command(cls=Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3shunt")
def cli() -> None:
    """One S3 namespace over hot storage and a slow archive."""


def main() -> None:
    """Run the command; what an operator has to mend is one line on stderr and exit code 2."""
    try:
        cli(standalone_mode=True)
    except (ConfigError, S3Error) as error:
        from s3shunt.cli import say

        print(f"s3shunt: {say.problem(error)}", file=sys.stderr)
        sys.exit(2)
