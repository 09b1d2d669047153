"""Ten thousand transfers that are cut, on either side, in either direction: nothing cut passes for whole, and nothing stays behind."""

import os
import random
import threading
from collections import Counter
from hashlib import sha256

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

CUTS = int(os.environ.get("S3SHUNT_CUTS", "10000"))
CLIENTS = 8
LINKS = 24
"""Links to the store that the proxy may have: one that is lost with every thousandth cut is missed before the end."""
KEYS = 20
"""Of each client, for each kind of upload: what is remembered of keys does not grow for ever."""
POOLED = {"a link to the store": LINKS, "the database": 13, "a socket": 6 + 64}
"""What may stay open for the next one: links; six connections to the database; 64 to the index, and what the process itself has."""
POOL = random.Random(2).randbytes(1 << 22)
SIZES = (1000, 60_000, 65_536, 200_000, 1 << 20, 3 << 20)
WAYS = ("signed", "unsigned", "chunks", "unknown")


class Cutter:
    """One client. ``wrong`` is what passed for whole; ``stored`` what may be in the store by then."""

    def __init__(self, number, client):
        self.number, self.client = number, client
        self.chance = random.Random(number)
        self.said, self.wrong, self.serial = Counter(), [], 0

    def cut(self, count):
        with self.client:
            for _ in range(count):
                self.serial += 1
                name = self.chance.choice(("leaves_a_download", "leaves_an_upload", "is_left_by_the_store", "is_left_in_an_upload"))
                try:
                    self.said[name, getattr(self, name)()] += 1
                except OSError as error:
                    self.said[name, type(error).__name__] += 1
                self.client.leave(abruptly=self.chance.random() < 0.5)

    def bucket(self):
        return self.chance.choice(("films", "plain"))

    def leaves_a_download(self):
        """Of what it asked for it takes a part, and goes."""
        size = self.chance.choice(SIZES)
        head, _ = self.client.wire("GET", f"/{self.bucket()}/whole-{size}", (), b"", "signed", {})
        self.client.connect()
        self.client.sock.sendall(head)
        answer = self.client.answer("GET", self.chance.randrange(size))
        return answer.status

    def leaves_an_upload(self):
        size, way = self.chance.choice(SIZES), self.chance.choice(WAYS)
        head, body = self.client.wire("PUT", f"/{self.bucket()}/left-{self.number}-{self.serial % KEYS}", (), POOL[:size], way, {})
        self.client.connect()
        self.client.sock.sendall(head + body[: self.chance.randrange(len(body))])
        return "left"

    def is_left_by_the_store(self):
        """The store's answer ends early: so does ours, and cannot be taken for whole."""
        size = self.chance.choice(SIZES)
        answer = self.client.ask("GET", f"/{self.bucket()}/cut-down-{CUT_AT[size]}-{size}")
        if answer.status == 200 and answer.whole:
            self.wrong.append(("a download", size, len(answer.body)))
        return answer.status

    def is_left_in_an_upload(self):
        size = self.chance.choice(SIZES)
        turn = self.serial % KEYS
        path = f"/{self.bucket()}/cut-up-{size * turn // KEYS}-{self.number}"
        answer = self.client.ask("PUT", path, (), POOL[:size], way=self.chance.choice(WAYS))
        if answer.status < 400:
            self.wrong.append(("an upload", size, answer.status))
        return answer.status


CUT_AT = {size: size * (number + 1) // 7 for number, size in enumerate(SIZES)}


def cut(cutters, count):
    threads = [threading.Thread(target=one.cut, args=(count // CLIENTS,), daemon=True) for one in cutters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [wrong for one in cutters for wrong in one.wrong] == []


def test_ten_thousand_cut_transfers_leave_nothing_behind(soaked, client):
    site = soaked(links=LINKS)
    with client(site) as one:
        for size in SIZES:
            for bucket in ("films", "plain"):
                for key in (f"whole-{size}", f"cut-down-{CUT_AT[size]}-{size}"):
                    assert one.ask("PUT", f"/{bucket}/{key}", (), POOL[:size]).status == 200
    held, before = site.held(), Counter()
    cutters = [Cutter(number, client(site)) for number in range(CLIENTS)]
    resident = []
    for turn in range(5):
        cut(cutters, CUTS // 5)
        calm(site)
        resident.append(site.resident())
        before = before if turn else site.descriptors()
    print(resident, said := sum((one.said for one in cutters), Counter()))
    after = site.descriptors()
    for kind, most in POOLED.items():
        assert after.pop(kind) <= most, said
    assert after == {kind: count for kind, count in before.items() if kind not in POOLED}, said
    assert resident[-1] < resident[-2] + 4, resident  # in MiB; before, buffers and pools grow to their size
    assert resident[-1] < resident[0] + 24, resident
    assert site.held() == held
    assert list((site.home / "spool").glob("*")) == []
    everybody_is_served(site, client)


def calm(site):
    """Until all that was cut has been noticed."""
    last, before = 0, None
    for _ in range(200):
        found = site.descriptors()
        last = last + 1 if found == before else 0
        if last > 20:
            return
        before = found
        threading.Event().wait(0.25)
    pytest.fail(f"it does not come to rest: {site.descriptors()}")


def everybody_is_served(site, client):
    """As many downloads at a time as there may be links, each of them whole: no place was lost."""
    size = SIZES[-1]
    clients = [client(site) for _ in range(LINKS)]
    for one in clients:
        head, _ = one.wire("GET", f"/plain/whole-{size}", (), b"", "signed", {})
        one.connect()
        one.sock.sendall(head)
    for one in clients:
        answer = one.answer("GET")
        assert (answer.status, answer.whole) == (200, True), answer
        assert sha256(answer.body).digest() == sha256(POOL[:size]).digest()
        one.leave()
