"""Without the real one, which the stage starts where it is installed."""

import pytest

from s3shunt.testing import services
from s3shunt.testing.services import radosgw


def executable(path, text="#!/bin/sh\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_without_its_programs_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt-get install radosgw"), radosgw.radosgw():
        pass


def test_a_gateway_alone_is_not_enough(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    executable(tmp_path / "radosgw")
    assert radosgw.program() is None
    for name in radosgw.PROGRAMS:
        executable(tmp_path / name)
    assert radosgw.program() == str(tmp_path / "radosgw")


def test_a_tool_that_fails_says_why_and_nothing_is_left_running(monkeypatch, tmp_path):
    for name in radosgw.PROGRAMS:
        executable(tmp_path / "bin" / name, "#!/bin/sh\necho no entropy >&2; exit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(services.tempfile, "tempdir", str(tmp_path / "homes"))
    (tmp_path / "homes").mkdir()
    with pytest.raises(RuntimeError, match="no entropy"), radosgw.radosgw():
        pass
    assert list((tmp_path / "homes").iterdir()) == []
