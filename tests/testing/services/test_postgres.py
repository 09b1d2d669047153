import subprocess

import pytest

from s3shunt.testing.services import postgres as service

pytestmark = [pytest.mark.stage, pytest.mark.skipif(not service.installed(), reason="PostgreSQL is not installed")]


def test_it_answers_and_leaves_nothing_behind():
    with service.postgres("work_mem=3MB") as url:
        psql = [service.binary("psql"), url, "-Atc", "SHOW work_mem"]
        assert subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip() == "3MB"
    assert subprocess.run(psql, capture_output=True, check=False).returncode != 0


def test_a_cluster_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match="no_such_setting"), service.postgres("no_such_setting=1"):
        pass
