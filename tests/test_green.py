"""Each kind of process in a process of its own: what ``green`` knows cannot be taken back."""

import socket
import subprocess
import sys
import textwrap

import pytest

from s3shunt import green


def run(script):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_under_threads_all_is_the_standard_library():
    assert not green.hub()
    assert not green.on_hub()
    assert green.socket_module() is socket
    assert green.offload(lambda a, b: a + b, 1, b=2) == 3


def test_exceptions_come_back_as_they_are():
    with pytest.raises(KeyError):
        green.offload({}.__getitem__, "x")


def test_under_threads_a_call_with_a_deadline_is_a_call():
    assert green.offload_for(0.0, lambda a, b: a + b, 1, b=2) == 3


HUBS = {"a hub of our own": "from s3shunt import green; green.use_eventlet()", "a patched host": "import eventlet; eventlet.monkey_patch()"}


@pytest.mark.parametrize("host", HUBS.values(), ids=HUBS)
def test_a_green_thread_and_a_call_it_offloads_are_told_apart(host):
    told = run(f"""
        {host}
        from s3shunt import green
        print(green.hub(), green.on_hub(), green.offload(green.on_hub), green.on_hub())
        print(green.offload(lambda: green.offload(green.on_hub)))
    """)
    assert told == ["True", "True", "False", "True", "False"]


@pytest.mark.parametrize("host", HUBS.values(), ids=HUBS)
def test_an_offloaded_call_lets_others_run(host):
    (ticks,) = run(f"""
        {host}
        from s3shunt import green
        import eventlet.patcher
        ticks = []
        def tick():
            while True:
                green.sleep(0.01)
                ticks.append(1)
        green.spawn(tick)
        green.offload(eventlet.patcher.original("time").sleep, 0.3)
        print(len(ticks))
    """)
    assert int(ticks) > 10


def test_a_name_is_looked_up_beside_the_hub_without_the_resolver_of_eventlet():
    assert run("""
        from s3shunt import green
        green.use_eventlet()
        import socket, sys, time
        looked = socket.getaddrinfo
        def slow(*given):
            time.sleep(0.3)
            return looked(*given)
        socket.getaddrinfo = slow
        ticks = []
        def tick():
            while True:
                green.sleep(0.01)
                ticks.append(1)
        green.spawn(tick)
        server = socket.create_server(("127.0.0.1", 0))
        green.socket_module().create_connection(("localhost", server.getsockname()[1]), 5).close()
        print(len(ticks) > 10, "dns" in sys.modules)
    """) == ["True", "False"]  # fmt: skip


def test_what_a_call_raised_in_the_pool_is_raised_here():
    assert run("""
        from s3shunt import green
        green.use_eventlet()
        from s3shunt.protocol.errors import SlowDown
        try:
            def refuse(): raise SlowDown(retry_after=3)
            green.offload(refuse)
        except SlowDown as error:
            print(error.retry_after)
    """) == ["3"]  # fmt: skip


@pytest.mark.parametrize("host", HUBS.values(), ids=HUBS)
def test_a_native_lock_is_one_between_offloaded_calls(host):
    assert run(f"""
        {host}
        from s3shunt import green
        import eventlet, eventlet.patcher
        nap, lock, inside, most = eventlet.patcher.original("time").sleep, green.native_lock(), [], []
        def work():
            with lock:
                inside.append(1)
                most.append(len(inside))
                nap(0.01)
                inside.pop()
        pool = eventlet.GreenPool()
        for _ in range(10):
            pool.spawn_n(green.offload, work)
        pool.waitall()
        print(max(most), len(most))
    """) == ["1", "10"]


ASKING = """
    import socket
    from contextlib import suppress
    from s3shunt import green
    green.use_eventlet()
    import eventlet

    class Other:
        # the other side: every line it gets, and what it got at once

        def __init__(self):
            self.ours, self.theirs = socket.socketpair()
            self.theirs.settimeout(0)
            self.got, self.rest = [], b""
            self.shared = green.Shared(self.ours, self.lines, 0.3)

        def lines(self, data):
            *found, self.rest = (self.rest + data).split(b"\\n")
            return found

        def hear(self):
            self.got.append(self.theirs.recv(1 << 20))
            return self.got[-1]

        def ask(self, *words):
            asking = [eventlet.spawn(self.told, word) for word in words]
            eventlet.sleep(0.01)
            return asking

        def told(self, word):
            try:
                return self.shared.ask(word + b"\\n").decode()
            except OSError as error:
                return type(error).__name__

    other = Other()
"""


def asking(script):
    return " ".join(run(textwrap.dedent(ASKING) + textwrap.dedent(script)))


def test_what_is_asked_within_a_tick_travels_at_once_and_is_answered_in_order():
    said = asking("""
        one = other.ask(b"a", b"b", b"c")
        print(other.hear())
        other.theirs.sendall(b"A\\nB")
        more = other.ask(b"d")
        print([each.wait() for each in one[:1]], len(other.shared))
        other.theirs.sendall(b"B\\nC\\nD\\n")
        print([each.wait() for each in one[1:] + more], other.hear(), len(other.shared))
    """)
    assert said == r"b'a\nb\nc\n' ['A'] 3 ['BB', 'C', 'D'] b'd\n' 0"


def test_who_gives_up_takes_nobody_s_answer_away_and_is_not_woken():
    said = asking("""
        one, two = other.ask(b"a", b"b")
        one.kill()
        slept = eventlet.spawn(eventlet.sleep, 0.05)
        other.theirs.sendall(b"A\\nB\\n")
        print(two.wait(), slept.wait())
    """)
    assert said == "B None"


def test_who_ends_in_an_error_takes_nobody_s_answer_with_him():
    said = asking("""
        def breaks():
            other.shared.ask(b"x\\n")
            raise ValueError("what comes after its answer")
        eventlet.spawn_n(breaks)
        asked = other.ask(b"a", b"b")
        other.theirs.sendall(b"X\\nA\\nB\\n")
        with eventlet.Timeout(2):
            print([each.wait() for each in asked], other.hear())
            later = other.ask(b"c")
            other.theirs.sendall(b"C\\n")
            print([each.wait() for each in later])
    """)
    assert said == r"['A', 'B'] b'x\na\nb\n' ['C']"


def test_a_late_answer_an_end_and_nonsense_end_it_for_all():
    said = asking("""
        print([each.wait() for each in other.ask(b"a", b"b")], *[each.wait() for each in other.ask(b"c")])
        other = Other()
        asked = other.ask(b"a")
        other.theirs.close()
        print([each.wait() for each in asked], other.shared.mine)
        other = Other()
        asked = other.ask(b"a")
        other.theirs.sendall(b"A\\nB\\n")
        print([each.wait() for each in asked])
    """)
    assert said == "['ConnectionError', 'ConnectionError'] ConnectionError ['ConnectionError'] False ['ConnectionError']"


def test_what_came_while_the_hub_was_busy_is_not_late():
    said = asking("""
        import time
        asked = other.ask(b"a")
        other.theirs.sendall(b"A\\n")
        time.sleep(0.4)
        print([each.wait() for each in asked])
    """)
    assert said == "['A']"


def test_more_than_the_network_takes_at_once_is_sent_in_the_end():
    said = asking("""
        asked = other.ask(b"x" * 2_000_000)
        got = b""
        while not got.endswith(b"\\n"):
            with suppress(BlockingIOError):
                got += other.hear()
            eventlet.sleep(0.001)
        other.theirs.sendall(b"done\\n")
        print(len(got), *[each.wait() for each in asked], other.shared._writer)
    """)
    assert said == "2000001 done None"
