import os

import pytest

from s3shunt.testing.services import redis as service

pytestmark = pytest.mark.skipif(not service.installed(), reason="redis-server is not installed")


def test_it_runs_stops_comes_again_and_leaves_nothing_behind():
    with service.redis() as running:
        first, home = running.pid, running.home
        assert running.url.startswith("redis+unix://")
        assert running.tcp.startswith("redis://127.0.0.1:")
        running.stop()
        running.start()
        assert running.pid != first
        second = running.pid
    assert not home.exists()
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_frozen_server_can_be_ended():
    with service.redis() as running:
        running.freeze()
        assert not running._answers()
        running.thaw()
        assert running._answers()
        running.freeze()


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match="nonsense"), service.redis("--loglevel", "nonsense"):
        pass
