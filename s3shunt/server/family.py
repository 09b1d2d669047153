"""The parent of the processes that serve. It holds the sockets, and otherwise nothing: no pipeline, no connection.

A generation is as many workers as the ini asks for. A new one is started beside the old, and the old one is
told to end only when every worker of the new one answers; where that fails the old one stays.
That is the whole of a reload (SIGHUP). SIGUSR2 replaces the parent's own code first: it starts
itself anew in its place, with its sockets and its children.
"""

import logging
import os
import select
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from s3shunt import clock
from s3shunt.config import ConfigError
from s3shunt.server import descent, listen, sockets, systemd
from s3shunt.server.listen import Options
from s3shunt.server.sockets import Opened
from s3shunt.server.worker import LEAVING, READY, Parent, Task, work

log = logging.getLogger(__name__)

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD}
PAUSES = (0.5, 10.0)
"""Before a worker that died is replaced; the pause doubles while they die young."""
LAST = 5.0
"""Seconds after ``drain`` for a worker to end by itself."""
SOUND = """
import sys
from pathlib import Path
import s3shunt.cli.serve, s3shunt.server.family
s3shunt.server.listen.listeners(Path(sys.argv[1]))
"""


@dataclass
class Worker:
    slot: int
    generation: int
    says: int | None
    """Where it says that it answers, and later that it leaves; None when it says nothing more."""
    since: float
    answers: bool = False
    leaves: bool = False


class Family:
    def __init__(self, path: Path, declared: dict[str, Options], opened: dict[str, Opened]) -> None:
        self.path, self.declared, self.opened = path, declared, opened
        self.workers: dict[int, Worker] = {}
        self._before = declared, opened
        self.generation = self.answering = 0
        self.stopping = False
        self.kill_at = float("inf")
        self.due: list[tuple[float, int]] = []
        self.pause = PAUSES[0]
        self.failed = False
        children, self._alive = descent.take(os.environ)
        now = clock.wall.monotonic()
        for pid, slot in children.items():
            self.workers[pid] = Worker(slot, 0, None, now, answers=True)

    @property
    def count(self) -> int:
        return max(options.workers for options in self.declared.values())

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and until the last child has ended. Raises SystemExit when no worker could start."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # taken from here, one by one
        waking, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self._begin_generation()
        while self.workers or (self.due and not self.stopping):
            self._step(waking)
        signal.set_wakeup_fd(-1)
        if self.failed:
            raise SystemExit(1)

    def _step(self, waking: int) -> None:
        heard = {worker.says: pid for pid, worker in self.workers.items() if worker.says is not None}
        readable, _, _ = select.select([waking, *heard], [], [], self._patience())
        for number in readable:
            if number != waking:
                self._heard(heard[number], self.workers[heard[number]])
        for number in os.read(waking, 64) if waking in readable else b"":
            self._told(number)
        self._reap()
        self._replace()

    def _patience(self) -> float:
        moments = [moment for moment, _ in self.due] + [self.kill_at]
        return max(0.0, min(60.0, min(moments) - clock.wall.monotonic()))

    def _told(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop()
        elif number == signal.SIGHUP and not self.stopping:
            self._reload()
        elif number == signal.SIGUSR2 and not self.stopping:
            self._hand_over()

    # generations

    def _begin_generation(self) -> None:
        self.generation += 1
        self.due = []
        for listener in self.opened.values():
            listener.widen(self.count)
        for slot in range(self.count):
            self._fork(slot)

    def _heard(self, pid: int, worker: Worker) -> None:
        """A worker says that it answers, or that it leaves, or says nothing more: then it has ended."""
        assert worker.says is not None
        said = os.read(worker.says, 1)
        if said == READY:
            worker.answers = True
            self._answers()
        elif said == LEAVING:
            self._leaves(pid, worker)
        else:
            self._silent(worker)

    def _answers(self) -> None:
        mine = [worker for worker in self.workers.values() if worker.generation == self.generation and not worker.leaves]
        if len(mine) == self.count and all(worker.answers for worker in mine):
            self._answering()

    def _leaves(self, pid: int, worker: Worker) -> None:
        """Told by somebody to end, it does so when its last request has; another takes its place meanwhile."""
        worker.leaves = True
        if not self.stopping and worker.generation == self.generation:
            log.info("process %d ends: another takes its place", pid)
            self.due.append((clock.wall.monotonic(), worker.slot))

    def _silent(self, worker: Worker) -> None:
        assert worker.says is not None
        os.close(worker.says)
        worker.says = None
        if not worker.answers:
            self._stillborn(worker)

    def _answering(self) -> None:
        if self.answering != self.generation:
            log.info("generation %d answers", self.generation)
            systemd.notify(os.environ, "READY=1", f"MAINPID={os.getpid()}")
        self.answering = self.generation
        self._settle(back=False)
        self._end([pid for pid, worker in self.workers.items() if worker.generation != self.generation])

    def _stillborn(self, worker: Worker) -> None:
        """A worker of a new generation could not start: that generation is given up."""
        if worker.generation != self.generation or self.answering == self.generation or self.stopping:
            return
        log.error("a worker did not start: %s", "what answered before goes on" if self.answering or self._old() else "giving up")
        self._end([pid for pid, other in self.workers.items() if other.generation == self.generation])
        if self._old():
            self.generation = self.answering
            self._settle(back=True)
        else:
            self.failed = True
            self._stop()

    def _old(self) -> list[int]:
        return [pid for pid, worker in self.workers.items() if worker.generation != self.generation]

    def _end(self, pids: list[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def _stop(self) -> None:
        if not self.stopping:
            systemd.notify(os.environ, "STOPPING=1")
            drain = max(options.drain for options in self.declared.values()) / 1000
            self.kill_at = clock.wall.monotonic() + drain + LAST
        self.stopping = True
        self._end(list(self.workers))
        for listener in (*self.opened.values(), *self._before[1].values()):
            for sock in listener.sockets:
                sock.close()

    def _reload(self) -> None:
        """The ini anew. What is wrong with it is told, and changes nothing."""
        systemd.notify(os.environ, "RELOADING=1")
        try:
            declared = listen.listeners(self.path)
            opened = {name: self._kept(name, options) or listen.fresh(options) for name, options in declared.items()}
        except (ConfigError, OSError) as error:
            log.error("not reloaded: %s", error)  # noqa: TRY400  # where it happened says nothing
            systemd.notify(os.environ, "READY=1")
            return
        self._before = self.declared, self.opened
        self.declared, self.opened = declared, opened
        self._begin_generation()

    def _kept(self, name: str, options: Options) -> Opened | None:
        before = self.declared.get(name)
        if before is None or before.address != options.address:
            return None
        return Opened(list(self.opened[name].sockets), self.opened[name].fixed)

    def _settle(self, *, back: bool) -> None:
        """Close what only the other generation answered on."""
        before = self._before
        now = self.declared, self.opened
        if back:
            (self.declared, self.opened), before = before, now
        mine = {sock for listener in self.opened.values() for sock in listener.sockets}
        for listener in before[1].values():
            for sock in set(listener.sockets) - mine:
                sock.close()
        self._before = self.declared, self.opened

    def _hand_over(self) -> None:
        """Start what is installed now in place of this code, with the same arguments."""
        if subprocess.run([sys.executable, "-c", SOUND, str(self.path)], check=False).returncode:
            log.error("not handed over: the new code does not start")
            return
        log.info("handing over")
        os.environ[sockets.KEPT] = sockets.keep((sockets.key(name, self.declared[name].address), one) for name, one in self.opened.items())
        descent.hand_down(os.environ, {pid: worker.slot for pid, worker in self.workers.items()}, self._alive)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they wait for the new code
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

    # workers

    def _fork(self, slot: int) -> None:
        says, said = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.close(said)
            self.workers[pid] = Worker(slot, self.generation, says, clock.wall.monotonic())
            return
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)  # and blocked: what it is told while it starts waits until it can obey
        os.close(says)
        os.close(self._alive[1])
        work(self.path, self._tasks(slot), Parent(said, self._alive[0]))
        raise SystemExit(0)

    def _tasks(self, slot: int) -> list[Task]:
        tasks = []
        for name, options in self.declared.items():
            mine = self.opened[name].of(slot, self.count)
            for sock in self.opened[name].sockets:
                if sock not in mine:
                    sock.close()
            tasks.append(Task(options, mine))
        return tasks

    def _reap(self) -> None:
        while self.workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.workers.clear()
                return
            if not pid:
                break
            if worker := self.workers.pop(pid, None):
                self._ended(pid, worker, os.waitstatus_to_exitcode(status))
        if clock.wall.monotonic() >= self.kill_at:
            for pid in self.workers:
                os.kill(pid, signal.SIGKILL)
            self.kill_at = float("inf")

    def _ended(self, pid: int, worker: Worker, code: int) -> None:
        while worker.says is not None:
            self._heard(pid, worker)
        if self.stopping or worker.leaves or worker.generation != self.generation:
            return
        now = clock.wall.monotonic()
        self.pause = PAUSES[0] if now - worker.since > PAUSES[1] else min(self.pause * 2, PAUSES[1])
        log.error("process %d ended with %d: another takes its place", pid, code)
        self.due.append((now + self.pause, worker.slot))

    def _replace(self) -> None:
        now = clock.wall.monotonic()
        late = [slot for moment, slot in self.due if moment <= now]
        self.due = [entry for entry in self.due if entry[0] > now]
        for slot in late if not self.stopping else ():
            self._fork(slot)
