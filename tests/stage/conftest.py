"""The stores of the stage, started when first wanted; what they say is in the folder of the run."""

import os
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from s3shunt.cli import demo
from s3shunt.testing import stage
from s3shunt.testing.stage import stores


@pytest.fixture(scope="session")
def store():
    """``store("swift")``, ``store("seaweedfs")``, ``store("minio")``: one of each for all tests."""
    home = Path(tempfile.mkdtemp(prefix="s3shunt-stores-"))
    with ExitStack() as stack:

        def start(kind):
            if why := stores.missing(kind):
                pytest.skip(why)
            return stack.enter_context(stores.store(kind, home / kind, stage.logs("stores"), kept=stage.kept()))

        yield cache(start)
    if not stage.kept():
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def site(store):
    """``site("films", "swift", proxies=2)``: once per name and module, until the module's tests are done."""
    made = {}
    with ExitStack() as stack:

        def make(name, kind, **given):
            if name not in made:
                made[name] = stack.enter_context(stage.site(name, store(kind), **given))
            return made[name]

        yield make


@pytest.fixture
def bucket():
    return f"films-{secrets.token_hex(4)}"


@pytest.fixture
def ini(tmp_path):
    """The shipped ini, hurried, on free ports, with its state in a folder of the test's."""
    path, shipped = tmp_path / "proxy.ini", Path(__file__).parents[2] / "etc/proxy.ini"
    path.write_text(demo.settings(shipped.read_text(), tmp_path / "state", demo.free_port(), demo.free_port()))
    return path


@pytest.fixture
def log(tmp_path, request):
    """Where services speak: the stage's folder, or a temporary one."""
    return Path(os.environ.get("S3SHUNT_STAGE_LOGS", tmp_path)) / f"{request.node.name}.log"
