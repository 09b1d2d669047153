"""One connection of all green threads, in a process of its own: what ``green`` knows cannot be taken back."""

import subprocess
import sys
import textwrap

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
    script = textwrap.dedent(ASKING) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


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
