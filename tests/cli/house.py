"""A small installation on disk for tests of the command: SQLite, a store in memory, a tape library on a folder."""

import json

from click.testing import CliRunner

from s3shunt import connect
from s3shunt.cli.main import cli
from s3shunt.config import Ini

SOURCE = """\
[DEFAULT]
state = {state}
[catalog:main]
url = sqlite:///${{state}}/catalog.db
secret_file = ${{state}}/secret
[keys:main]
url = file://${{state}}/keys.json
[store:main]
url = memory://
[store:landing]
url = memory://
[archive:tape]
url = tape://${{state}}/tape
[policy:films]
buckets = films
archive = tape
"""


class Site:
    def __init__(self, tmp):
        self.state = tmp / "state"
        self.state.mkdir()
        self.ini = tmp / "site.ini"
        self.ini.write_text(SOURCE.format(state=self.state))
        (self.state / "secret").write_text("0" * 64)
        (self.state / "secret").chmod(0o600)
        self.said("catalog", "upgrade")

    def run(self, *words):
        where = 1 if words[0] == "audit" else 2  # most words have a second one
        return CliRunner().invoke(cli, [*words[:where], "-c", str(self.ini), *words[where:]])

    def said(self, *words):
        """What the command says, on success."""
        done = self.run(*words)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def json(self, *words):
        return [json.loads(line) for line in self.said(*words, "--json").splitlines()]

    @property
    def house(self):
        """What another process on the same state would see."""
        return connect.House(Ini(self.ini, {}))
