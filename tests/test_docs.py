"""The pages of the doors say what the code declares."""

import importlib
import re
from pathlib import Path

import pytest

from s3shunt import config

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {
    "access_log": "s3shunt.filters.access_log",
    "errors": "s3shunt.filters.errors",
    "grants": "s3shunt.filters.grants",
    "guard": "s3shunt.filters.guard",
    "health": "s3shunt.filters.health",
    "proxy": "s3shunt.apps.proxy",
    "serve": "s3shunt.server.listen",
    "virtual_host": "s3shunt.filters.virtual_host",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_pages_table_of_options_is_the_declared_one(page):
    table = re.search(r"\| option \| default \| means \|\n\|[-|]+\n((?:\|.*\n)+)", (DOCS / f"{page}.md").read_text())[1]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table.splitlines()]
    assert rows == [_row(field) for field in config.declared(importlib.import_module(PAGES[page]).Options)]


def _row(field):
    default = field.metadata["default"]
    shown = "(required)" if default is None else f"`{default}`" if default else ""
    return f"`{field.name}`", shown, field.metadata["help"]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / link).exists(), link
