from pathlib import Path

import pytest

from s3shunt.testing import killed


def test_each_line_is_the_last_once(tmp_path):
    def act():
        (tmp_path / "one").touch()
        (tmp_path / "two").touch()

    left = []
    for _ in killed.at_every_line(act, Path(__file__)):
        left.append(sorted(path.name for path in tmp_path.iterdir()))
        for path in tmp_path.iterdir():
            path.unlink()
    assert left == [[], ["one"]]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_child_that_fails_by_itself_is_told():
    with pytest.raises(AssertionError, match="another cause"):
        list(killed.at_every_line(lambda: 1 / 0, Path("/nowhere")))
