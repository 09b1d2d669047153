"""Without the real one, which the stage starts, and without building it."""

import time
from pathlib import Path

import pytest

from s3shunt.testing import services
from s3shunt.testing.services import minio


def executable(path, text="#!/bin/sh\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_without_its_program_it_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(minio, "program", lambda: None)
    with pytest.raises(RuntimeError, match="builds it, once"), minio.minio():
        pass


def test_the_program_is_the_named_one_else_the_built_one_else_the_system_s(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(tmp_path / "bin"), "S3SHUNT_MINIO": str(tmp_path / "own/minio")}
    assert minio.program(environ) is None
    system = executable(tmp_path / "bin/minio")
    assert minio.program(environ) == system
    built = executable(minio.kept(environ))
    assert minio.program(environ) == built
    named = executable(tmp_path / "own/minio")
    assert minio.program(environ) == named
    assert minio.program({**environ, "S3SHUNT_MINIO": "1"}) == built
    assert minio.program({**environ, "S3SHUNT_MINIO": "0"}) is None


def test_another_version_is_another_file(monkeypatch):
    before = minio.kept({"HOME": "/home/me"})
    monkeypatch.setattr(minio, "VERSION", "v0.0.0-20270101000000-abcdefabcdef")
    assert str(before).startswith("/home/me/.cache/s3shunt/minio-")
    assert minio.kept({"HOME": "/home/me"}) != before


def test_what_is_built_already_is_not_built_again(monkeypatch, tmp_path):
    monkeypatch.setattr(minio, "kept", lambda: tmp_path / "minio")
    monkeypatch.setattr(minio, "_told", lambda *_: pytest.fail("nothing is to be run"))
    executable(tmp_path / "minio")
    assert minio.fetch() == tmp_path / "minio"


def test_a_build_that_fails_says_why_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(minio, "kept", lambda: tmp_path / "cache/minio")
    monkeypatch.setattr(minio.sys, "executable", executable(tmp_path / "python", "#!/bin/sh\necho no such wheel >&2; exit 1\n"))
    with pytest.raises(RuntimeError, match="no such wheel"):
        minio.fetch()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_build_that_takes_too_long_is_ended_with_all_it_started(monkeypatch, tmp_path):
    mark = f"{tmp_path}/mark"
    monkeypatch.setattr(minio, "kept", lambda: tmp_path / "cache/minio")
    monkeypatch.setattr(minio.sys, "executable", executable(tmp_path / "python", f"#!/bin/sh\n(sleep 1; touch {mark}) & wait\n"))
    with pytest.raises(RuntimeError, match="not done in time"):
        minio.fetch(0.2)
    assert list((tmp_path / "cache").iterdir()) == []
    time.sleep(1.2)
    assert not Path(mark).exists()


def test_no_secret_is_on_its_command_line_or_in_its_environment(tmp_path):
    made = minio.service("minio", tmp_path, 1234, "key", "secret-of-the-key")
    assert not any("secret-of-the-key" in word for word in (*made.command, *made.environ.values()))
    assert (tmp_path / "minio.env").stat().st_mode & 0o777 == 0o600


def test_one_that_does_not_come_up_shows_its_log_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(minio, "program", lambda: executable(tmp_path / "minio", "#!/bin/sh\necho no room; exit 1\n"))
    monkeypatch.setattr(services.tempfile, "tempdir", str(tmp_path / "homes"))
    (tmp_path / "homes").mkdir()
    with pytest.raises(RuntimeError, match="no room"), minio.minio():
        pass
    assert list((tmp_path / "homes").iterdir()) == []
