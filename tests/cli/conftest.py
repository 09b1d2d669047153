import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("cli_house", Path(__file__).with_name("house.py"))
_house = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_house)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.delenv("S3SHUNT_STATE", raising=False)
    return _house.Site(tmp_path)
