"""A connection on a hub: nothing waits for ever, and nothing is left behind."""

import subprocess
import sys
import textwrap

import pytest

ON_A_HUB = """
    import socket, warnings
    warnings.simplefilter("ignore")
    {patch}
    from s3shunt import green
    green.use_eventlet()
    import eventlet
    from eventlet import hubs
    from s3shunt.relay import link as links
    listener = links.raw("socket").socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    made = links.connect(listener.getsockname(), None, 2)
    other, _ = listener.accept()
    added, hub = [], hubs.get_hub()
    base = len(hub.listeners["read"])
    add = hub.add
    hub.add = lambda *args: (added.append(args[0]), add(*args))[1]

    def echo():
        for _ in range(20):
            eventlet.sleep(0)
            other.send(b"pong")
            eventlet.sleep(0.002)

    eventlet.spawn_n(echo)
    for _ in range(20):
        made.until(2)
        assert made.receive(100, ready=False) == b"pong"
    print("registered", added)
    other.send(b"unasked")
    eventlet.sleep(0.05)
    print("idle", len(hub.listeners["read"]) - base, made.stirred())
    assert made.receive(100) == b"unasked"
    for act in (lambda: made.receive(1), lambda: made.send(bytes(64 << 20))):
        made.until(0.05)
        try:
            act()
        except TimeoutError:
            print("given up")
    made.close()
    print("left", len(hub.listeners["read"]) - base, len(hub.listeners["write"]))
"""


@pytest.mark.parametrize("patch", ["", "import eventlet; eventlet.monkey_patch()"])
def test_on_a_hub_it_is_registered_once_and_leaves_nothing_behind(patch):
    script = textwrap.dedent(ON_A_HUB).replace("{patch}", patch)
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=60, text=True)
    assert ended.stdout.splitlines() == ["registered ['read']", "idle 0 True", "given up", "given up", "left 0 0"], ended.stderr


ANSWERED = """
    import socket, warnings
    warnings.simplefilter("ignore")
    from s3shunt import green
    green.use_eventlet()
    import eventlet
    from eventlet import hubs
    from s3shunt.relay import link as links
    here, other = socket.socketpair()
    made, hub = links.Link(here), hubs.get_hub()

    def fill():
        try:
            while True:
                here.send(bytes(65536))
        except BlockingIOError:
            return

    for act in (lambda: other.send(b"no"), lambda: other.recv(1 << 24), lambda: None):
        fill()
        eventlet.spawn_after(0.02, act)
        made.until(0.5)
        try:
            made.wait_to_send()
            print(made.stirred(), len(hub.listeners["write"]))
        except TimeoutError:
            print("given up", len(hub.listeners["write"]))
        if made.stirred():
            made.receive(100)
    made.close()
    print("left", len(hub.listeners["read"]), len(hub.listeners["write"]))
"""


def test_who_has_more_to_send_hears_a_store_that_answers_first():
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(ANSWERED)], check=False, capture_output=True, timeout=60, text=True)
    assert ended.stdout.splitlines() == ["True 0", "False 0", "given up 0", "left 0 0"], ended.stderr
