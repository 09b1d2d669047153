"""A fresh house for every walk."""

import pytest

from s3shunt.testing.house import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
