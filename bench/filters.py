"""P5: what all doors of the default corridor cost together, warm and without a network.

The real doors, options and order of ``etc/proxy.ini``; behind them a handler that gives the
same answer each time, whose own cost is measured alone and taken off. The catalog's memory is warm and
believed; the access log goes to /dev/null. 10,000 keys, each with its own signature, twice round for every figure.

Before and after, a flipped bit in a signature must give 403.
"""

import gc
import json
import os
import statistics
import tempfile
import time
from configparser import ConfigParser
from email.utils import formatdate
from pathlib import Path

from s3shunt import connect
from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.catalog.tiered import TieredCatalog
from s3shunt.config import Ini
from s3shunt.model import Entry, Facts, ObjectRef
from s3shunt.protocol import presigned, sigv4
from s3shunt.stores.memory import MemoryStore, Options
from s3shunt.testing.client import environ
from s3shunt.testing.house import pipeline
from s3shunt.wsgi import Application, Response

KEYS = 10_000
ROUNDS = 5
BODY = bytes(4096)
HOST = "s3.test"
AGENT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.11"
ETAG = '"0123456789abcdef0123456789abcdef"'
MODIFIED = 1_795_176_000_000

INI = """
[DEFAULT]
state = {state}
[keys:main]
url = file://{state}/keys.json
[filter:access_log]
path = /dev/null
[filter:ratelimit_peer]
rate = 1000000/s
[filter:ratelimit]
rate = 1000000/s
[policy:all]
buckets = films
archive = tape
"""


class Store(MemoryStore):
    endpoint = "http://store.invalid"
    endpoints = (endpoint,)
    region = "us-east-1"
    per_account = True

    def credential(self, account):
        return account, "store-secret"


class Silent:
    """An index that has nothing to say."""

    def get(self, ref):
        raise AssertionError(f"{ref} is not in memory")

    def publish(self, *_):
        pass


def doors():
    """Those of the shipped ini, in their order, but for the last."""
    ini = ConfigParser(interpolation=None)
    ini.read(Path(__file__).parent.parent / "etc/proxy.ini")
    return ini["pipeline:main"]["pipeline"].split()[:-1]


def bare_answer(given, start):
    return answer(None)(given, start)


MODIFIED_FIELD = ("Last-Modified", formatdate(MODIFIED / 1000, usegmt=True))


def answer(_):
    headers = [("Content-Length", "4096"), ("ETag", ETAG), MODIFIED_FIELD, ("Content-Type", "application/octet-stream")]
    return Response(status="200 OK", headerlist=headers, app_iter=[BODY])


def warm(catalog, house):
    """Everything known already, and believed."""
    facts = Facts(size=4096, etag=ETAG, last_modified=MODIFIED)
    catalog._followers[os.getpid()] = catalog  # noqa: SLF001  # nobody else follows the index, which would forget what is in memory
    catalog.recent.believe(float("inf"))
    for key in range(KEYS):
        asked, now = ("main", "films", f"reels/{key:06d}.mxf", ""), house.clock.monotonic()
        entry = Entry(ref=ObjectRef("films", asked[2], "null", "main"), facts=facts)
        catalog.recent.keep(asked, catalog.recent.begin(asked, now), entry, now)


def site(folder):
    """The corridor on a warm catalog: (application, catalog)."""
    (folder / "ini").write_text(INI.format(state=folder))
    keys = folder / "keys.json"
    keys.touch(mode=0o600)
    keys.write_text(json.dumps([{"access_key": "AKBENCH", "secret_key": "bench-secret", "account": "main"}]))
    house = connect.House(Ini(folder / "ini", {}))
    truth = MemoryCatalog(house=house)
    catalog = TieredCatalog(truth, Silent(), house)
    house.put("catalog", "main", truth)
    house.catalog = lambda _="main": catalog
    house.put("store", "main", Store(Options(), house))
    warm(catalog, house)
    return Application(pipeline(house, doors(), answer, {})), house


def requests(house, *, presign):
    """An environ for each key, as the strict front makes it, signed in its own right."""
    stamp = sigv4.timestamp(house.clock.now())
    for key in range(KEYS):
        path = f"/films/reels/{key:06d}.mxf"
        fields = {"host": HOST, "user-agent": AGENT, "accept-encoding": "identity"}
        signed = {"host": HOST}
        if presign:
            query = presigned.presign("GET", path, (), signed, access_key="AKBENCH", secret_key="bench-secret", timestamp=stamp)
            yield as_served(f"{path}?{query}", fields)
            continue
        signed |= {"x-amz-date": stamp, "x-amz-content-sha256": sigv4.EMPTY_SHA256}
        value = sigv4.authorization(
            "GET", path, (), signed, sigv4.EMPTY_SHA256, access_key="AKBENCH", secret_key="bench-secret", timestamp=stamp
        )
        sdk = {"amz-sdk-invocation-id": "c0ffee", "amz-sdk-request": "attempt=1"}
        yield as_served(path, {**fields, **sdk, **signed, "authorization": value})


def as_served(target, fields):
    made = environ("GET", target, b"", fields)
    del made["CONTENT_LENGTH"], made["RAW_PATH_INFO"]
    return {**made, "RAW_URI": target}


def once(app, given):
    """Call it, read its answer to the end, close it; the status."""
    said = []
    body = app(given, lambda status, *_: said.append(status))
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return said[0]


def microseconds(app, environs):
    """CPU of this thread per request, the copy of the environ not counted."""
    copies = [given.copy() for given in environs]
    begun = time.thread_time()
    for given in copies:
        once(app, given)
    return (time.thread_time() - begun) * 1e6 / len(copies)


def refuses_a_flipped_bit(app, given):
    for name in ("HTTP_AUTHORIZATION", "RAW_URI"):
        if "ignature=" in given.get(name, ""):
            value = given[name]
            return once(app, {**given, name: value[:-1] + chr(ord(value[-1]) ^ 1)}).startswith("403")
    return False


def measure(rounds=ROUNDS):
    """Microseconds of the doors alone, by way of signing: median, best, and the handler's own that were taken off."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        app, house = site(Path(folder))
        ways = {way: list(requests(house, presign=way == "presigned")) for way in ("header", "presigned")}
        gc.collect()
        gc.freeze()
        for way, environs in ways.items():
            assert refuses_a_flipped_bit(app, environs[0]), way
            assert once(app, environs[1].copy()).startswith("200")
            microseconds(app, environs)
            bare = [microseconds(bare_answer, environs) for _ in range(rounds)]
            whole = [microseconds(app, environs) for _ in range(rounds)]
            net = [each - statistics.median(bare) for each in whole]
            assert refuses_a_flipped_bit(app, environs[0]), way
            found[way] = {"median": statistics.median(net), "best": min(net), "handler": statistics.median(bare), "rounds": net}
    return found


if __name__ == "__main__":
    for way, figures in measure().items():
        print(f"{way:10} {figures['median']:6.1f} us (best {figures['best']:.1f}; handler {figures['handler']:.1f} taken off)")
