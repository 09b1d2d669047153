"""The inis we ship: accepted, complete, and saying what the declarations say."""

from pathlib import Path

import pytest

from s3shunt.cli import sample, walk
from s3shunt.config import Ini

ROOT = Path(__file__).parent.parent.parent
INIS = sorted((ROOT / "etc").glob("*.ini"))


@pytest.mark.parametrize("path", INIS, ids=lambda path: path.name)
def test_it_is_accepted(path):
    walk.judge(Ini(path, {}))


@pytest.mark.parametrize("path", INIS, ids=lambda path: path.name)
def test_it_shows_every_option_as_declared(path):
    """To mend it: python tests/etc/write.py."""
    assert path.read_text() == sample.expand(path.read_text(), Ini(path, {}))


def test_the_page_of_options_shows_every_option_as_declared():
    """To mend it: python tests/etc/write.py."""
    path = ROOT / "docs/configuration.md"
    assert path.read_text() == sample.page(path)


def test_the_default_ini_names_every_job_we_have():
    from importlib.metadata import entry_points

    assert set(Ini(ROOT / "etc/proxy.ini", {}).names("job")) == {point.name for point in entry_points(group="s3shunt.jobs")}
