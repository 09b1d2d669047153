"""``docs/checks.md`` names tests that exist, under the numbers that their names say."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/checks.md").read_text()
ROWS = {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*)$", PAGE, re.MULTILINE)}
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@cache
def defined_in(path):
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path, name):
    assert name in defined_in(path)


@pytest.mark.parametrize("number", [*range(1, 28), *range(36, 48)])
def test_every_check_has_a_test(number):
    assert "::test_" in ROWS[number] or "the same" in ROWS[number]


def test_a_number_in_a_tests_name_is_that_of_its_check():
    for number, row in ROWS.items():
        for name in re.findall(r"::test_((?:\d\d_)+)", row):
            assert number in map(int, name.strip("_").split("_")), name
