"""A long run of all that clients do to objects, by several at a time: every byte that comes back is looked at.

Each client has keys of its own and knows what was acknowledged, so that each answer is known before
it comes. S3SHUNT_SOAK says how many requests there are.
"""

import os
import random
import re
import signal
import threading
from hashlib import md5, sha256

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]

CHANGES = [signal.SIGHUP, signal.SIGTERM] * 5 + [signal.SIGUSR2]
TURNS = int(os.environ.get("S3SHUNT_TURNS", "20"))
"""How often they are gone through: 20 times is 100 reloads, 100 ends of workers, 20 hand-overs."""
SOAK = int(os.environ.get("S3SHUNT_SOAK", "1000000"))
CLIENTS = 8
KEYS = 40
POOL = random.Random(1).randbytes(1 << 21)
SIZES = [*[4096] * 6, 0, 1, 100, 1000, 20_000, 65_536, 65_537, 100_000] * 6 + [700_000, 1 << 20]
SHARES = {"get": 47, "presigned": 6, "part": 12, "head": 12, "put": 12, "delete": 4, "list": 4, "unchanged": 1, "forged": 1, "other": 1}
DONE = [name for name, share in SHARES.items() for _ in range(share)]
ROW = re.compile(r"<Key>([^<]*)</Key>.*?<ETag>(?:&quot;|&#34;|\")(\w+)(?:&quot;|&#34;|\")</ETag><Size>(\d+)</Size>")


class Player:
    """One client. ``failures`` are what was answered wrong."""

    def __init__(self, number, client):
        self.number, self.client = number, client
        self.chance = random.Random(number)
        self.base = f"/{('films', 'plain')[number % 2]}/"
        self.known = {}
        """What was acknowledged: key -> (size, place in the pool)."""
        self.answers, self.bytes, self.failures = 0, 0, []

    def play(self, count, stop):
        with self.client:
            for _ in range(count):
                key = f"{self.number}/{self.chance.randrange(KEYS):02d} ü"
                self.act(self.chance.choice(DONE), self.base + key.replace(" ", "%20").replace("ü", "%C3%BC"), key)
                if len(self.failures) > 3 or stop.is_set():
                    return stop.set()
        return None

    def act(self, name, path, key):
        try:
            getattr(self, f"do_{name}")(path, key)
        except (AssertionError, OSError) as error:
            self.failures.append((name, key, self.known.get(key), str(error)[:700]))
            self.client.leave()
        self.answers += 1

    def bytes_of(self, key):
        size, place = self.known[key]
        return POOL[place : place + size]

    def ask(self, wanted, method, path, *given, **more):
        answer = self.client.ask(method, path, *given, **more)
        self.bytes += len(answer.body)
        if (answer.status, answer.whole) != (wanted, True):
            raise AssertionError(f"{wanted}: {answer}")
        return answer

    def do_get(self, path, key, **more):
        if key not in self.known:
            assert b"<Code>NoSuchKey</Code>" in self.ask(404, "GET", path, **more).body
            return
        answer = self.ask(200, "GET", path, **more)
        body = self.bytes_of(key)
        assert sha256(answer.body).digest() == sha256(body).digest(), (len(answer.body), len(body))
        assert answer.fields["etag"] == f'"{md5(body).hexdigest()}"'

    def do_presigned(self, path, key):
        self.do_get(path, key, way="presigned")

    def do_part(self, path, key):
        size = self.known.get(key, (0,))[0]
        if size:
            first = self.chance.randrange(size)
            last = self.chance.randrange(first, size)
            answer = self.ask(206, "GET", path, range=f"bytes={first}-{last}")
            assert answer.fields["content-range"] == f"bytes {first}-{last}/{size}"
            assert sha256(answer.body).digest() == sha256(self.bytes_of(key)[first : last + 1]).digest()

    def do_head(self, path, key):
        answer = self.ask(200 if key in self.known else 404, "HEAD", path)
        if key in self.known:
            assert int(answer.fields["content-length"]) == self.known[key][0]

    def do_unchanged(self, path, key):
        if key in self.known:
            self.ask(304, "GET", path, if_none_match=f'"{md5(self.bytes_of(key)).hexdigest()}"')

    def do_put(self, path, key):
        size = self.chance.choice(SIZES)
        place = self.chance.randrange(len(POOL) - size)
        body = POOL[place : place + size]
        answer = self.ask(200, "PUT", path, (), body, way=self.chance.choice(("signed", "signed", "unsigned", "chunks", "unknown")))
        self.known[key] = size, place
        assert answer.fields["etag"] == f'"{md5(body).hexdigest()}"'

    def do_delete(self, path, key):
        self.ask(204, "DELETE", path)
        self.known.pop(key, None)

    def do_list(self, path, key):
        answer = self.ask(200, "GET", self.base[:-1], [("list-type", "2"), ("prefix", f"{self.number}/")])
        told = {found[1]: (int(found[3]), found[2]) for found in ROW.finditer(answer.body.decode())}
        assert told == {known: (size, md5(POOL[place : place + size]).hexdigest()) for known, (size, place) in self.known.items()}

    def do_forged(self, path, key):
        """A request with one bit of its signature flipped does nothing."""
        method = self.chance.choice(("GET", "PUT", "DELETE"))
        body = b"forged" if method == "PUT" else b""
        assert b"<Code>SignatureDoesNotMatch</Code>" in self.ask(403, method, path, (), body, flip=True).body

    def do_other(self, path, key):
        """A body that is not the one whose hash was signed is not stored."""
        said = sha256(b"what was signed").hexdigest()
        answer = self.ask(400, "PUT", path, (), b"what was sent!!", x_amz_content_sha256=said)
        assert b"<Code>XAmzContentSHA256Mismatch</Code>" in answer.body


def play(site, players, count, meanwhile=None):
    """All answers are right, and the store holds what was acknowledged. It ends with what is done ``meanwhile``."""
    stop = threading.Event()
    threads = [threading.Thread(target=player.play, args=(count // CLIENTS, stop), daemon=True) for player in players]
    for thread in threads:
        thread.start()
    if meanwhile is not None:
        meanwhile(stop)
        stop.set()
    for thread in threads:
        thread.join()
    assert "\n".join(str(failure) for player in players for failure in player.failures) == "", site.said()
    wanted = {
        player.base[1:] + key: sha256(POOL[place : place + size]).hexdigest()
        for player in players
        for key, (size, place) in player.known.items()
    }
    assert site.held() == wanted


def test_a_million_mixed_requests_are_answered_without_an_error(soaked, client):
    site = soaked()
    players = [Player(number, client(site)) for number in range(CLIENTS)]
    play(site, players, 4000)
    before = site.resident()
    play(site, players, SOAK)
    assert sum(player.answers for player in players) >= SOAK
    assert site.resident() < before + 32


def test_nobody_notices_reloads_ends_and_hand_overs(soaked, client):
    """Requests of all kinds while the processes that serve change all the time."""
    site = soaked(workers=2)
    players = [Player(number, client(site)) for number in range(CLIENTS)]

    def change(stop):
        for how in CHANGES * TURNS:
            if not stop.is_set():
                site.change(how, 2)

    play(site, players, 10**9, change)
    assert sum(player.answers for player in players) > 100 * TURNS
