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
