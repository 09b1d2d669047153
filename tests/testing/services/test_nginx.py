import os
import ssl
import threading
from pathlib import Path
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest

from s3shunt.testing.services import nginx as service

pytestmark = pytest.mark.skipif(not service.installed(), reason="nginx is not installed")

PLAIN = 'server { listen @LISTEN@; location / { default_type text/plain; return 200 "@WORD@"; } }'
TLS = 'server { listen @LISTEN@ ssl; ssl_certificate @CERTIFICATE@; ssl_certificate_key @KEY@; location / { return 200 "safe"; } }'


def said(running):
    context = ssl.create_default_context(cafile=running.certificate if running.tls else None)
    with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(running.url, timeout=5) as answer:
        return answer.read().decode()


def gone(pid):
    try:
        os.kill(pid, 0)
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()  # an orphan nobody has buried yet
    except (ProcessLookupError, FileNotFoundError):
        return True


def all_gone(pids):
    """Within a few seconds: what was killed on a busy machine ends when its turn comes."""
    return any(all(gone(pid) for pid in pids) or threading.Event().wait(0.05) for _ in range(100))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_it_runs_ends_comes_again_and_leaves_nothing_behind(how):
    with service.nginx(PLAIN, WORD="here", workers=2) as running:
        assert said(running) == "here"
        first, workers = running.pid, running.children()
        assert len(workers) == 2
        getattr(running, how)()
        assert all_gone([first, *workers])
        running.start()
        assert said(running) == "here"
        home, second = running.home, [running.pid, *running.children()]
    assert not home.exists()
    assert all_gone(second)


def test_a_reload_takes_another_configuration():
    with service.nginx(PLAIN, WORD="old") as running:
        old = running.children()
        running.configure(service.filled(PLAIN, LISTEN=f"127.0.0.1:{running.port}", WORD="new"))
        running.reload()
        assert said(running) == "new"
        assert set(running.children()) - set(old)


def test_its_certificate_is_good_for_its_url():
    with service.nginx(TLS) as running:
        assert (running.url.partition(":")[0], said(running)) == ("https", "safe")


def test_one_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match="nonsense"), service.nginx("nonsense; # @LISTEN@"):
        pass


@pytest.mark.parametrize("given", [{}, {"A": 1, "B": 2, "C": 3}])
def test_a_variable_too_few_or_too_many_is_told(given):
    with pytest.raises(ValueError, match=r"'C'|'A', 'B'"):
        service.filled("@A@ and @B@", **given)
