"""What the S3 language says of objects on tape, in every state and by every way of asking; ``docs/checks.md`` has the list."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3shunt.protocol import operations, presigned
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.house import House

FILM = b"frames of a film " * 4_000
LEGAL = re.compile(r'ongoing-request="true"|ongoing-request="false", expiry-date="([^"]+)"')
ASK = {"x_amz_optional_object_attributes": "RestoreStatus"}


def everywhere(house):
    """A house with a key in each state a client can tell apart."""
    for key in ("expired", "restored"):
        house.archive(f"/films/{key}", FILM)
    house.restore("/films/expired", days=1)
    house.work().later(days=3).work()
    house.restore("/films/restored", days=9)
    house.work()
    house.archive("/films/tape", FILM)
    house.put("/films/online", FILM)
    house.archive("/films/wanted", FILM)
    assert house.restore("/films/wanted").status == 202
    return house


# x-amz-restore


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "tape", "restore", "extend", "delete", "copy", "later", "run", "work", "read", "list"]),
        st.sampled_from("ab"),
    ),
    min_size=4, max_size=14,
)  # fmt: skip


BEGIN = [("tape", "a"), ("tape", "b"), ("work", "a"), ("restore", "a"), ("run", "a"), ("work", "a"), ("restore", "b")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=ACTS)
def test_03_x_amz_restore_has_one_of_two_forms_in_every_answer_whatever_happened_before(tmp_path_factory, acts):
    house = House(tmp_path_factory.mktemp("fuzz"))
    request = house.editor.request

    def judged(*args, **more):
        answer = request(*args, **more)
        judge(house, answer)
        return answer

    house.editor.request = judged
    for act, key in [*BEGIN, *acts]:
        act_on(house, act, f"/films/{key}")


def act_on(house, act, target):
    match act:
        case "put" | "tape":
            house.put(target, FILM, **({"x_amz_storage_class": "GLACIER"} if act == "tape" else {}))
        case "restore" | "extend":
            house.restore(target, days=1 if act == "restore" else 5, tier="Expedited" if act == "extend" else "Bulk")
        case "delete":
            house.delete(target)
        case "copy":
            house.put("/films/copy", x_amz_copy_source=target)
        case "later":
            house.later(days=1.3)
        case "run":
            house.runner.run_due()
        case "work":
            house.work(rounds=6)
        case "list":
            house.get("/films?list-type=2", **ASK)
    for sent in ({}, {"range": "bytes=1-2"}):
        house.get(target, **sent)
    house.head(target)


def judge(house, answer):
    told = answer.headers.get("x-amz-restore")
    if told is None:
        return
    found = LEGAL.fullmatch(told)
    assert found, told
    if found[1]:
        date = parsedate_to_datetime(found[1])
        assert format_datetime(date, usegmt=True) == found[1]
        assert (date.hour, date.minute, date.second) == (0, 0, 0)
        assert date.timestamp() * 1000 > house.clock.now()


# Listings


@pytest.mark.parametrize("form", ["", "?list-type=2", "?versions"])
def test_06_a_listing_says_of_every_state_what_head_says_at_the_same_moment(house, form):
    everywhere(house)
    for moment in range(3):
        for asked in ({}, ASK):
            items = {i.findtext("{*}Key"): i for i in house.get(f"/films{form}", **asked).xml.iter("{*}Contents", "{*}Version")}
            assert set(items) == {"expired", "restored", "tape", "online", "wanted"}
            for key, item in items.items():
                head = house.head(f"/films/{key}").headers
                assert item.findtext("{*}StorageClass") == head.get("x-amz-storage-class", "STANDARD"), key
                assert (item.findtext("{*}Size"), item.findtext("{*}ETag")) == (head["content-length"], head["etag"])
                status = item.find("{*}RestoreStatus")
                assert (status is not None) is (bool(asked) and "x-amz-restore" in head), key
                if status is not None:
                    assert same(status, head["x-amz-restore"]), key
        house.work(rounds=5) if moment == 0 else house.later(days=20).work()


def same(status, header):
    """Whether a RestoreStatus says what the header says."""
    if header == 'ongoing-request="true"':
        return status.findtext("{*}IsRestoreInProgress") == "true" and status.find("{*}RestoreExpiryDate") is None
    date = parsedate_to_datetime(LEGAL.fullmatch(header)[1])
    return (status.findtext("{*}IsRestoreInProgress"), status.findtext("{*}RestoreExpiryDate")) == (
        "false", date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    )  # fmt: skip


# One decision for all ways to read


def link(house, path, query=()):
    client = house.editor
    stamp = datetime.fromtimestamp(house.clock.now() // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    made = presigned.presign(
        "GET", path, list(query), {"host": client.host}, access_key=client.access_key, secret_key=client.secret_key, timestamp=stamp
    )
    return call(house.app, environ("GET", f"{path}?{made}"))


WAYS = {
    "whole": lambda house, key: house.get(f"/films/{key}"),
    "range": lambda house, key: house.get(f"/films/{key}", range="bytes=5-8"),
    "part": lambda house, key: house.get(f"/films/{key}?partNumber=1"),
    "link": lambda house, key: link(house, f"/films/{key}"),
    "link to a part": lambda house, key: link(house, f"/films/{key}", [("partNumber", "1")]),
    "host": lambda house, key: Client(house.app, "AKEDITOR", "editor-secret", clock=house.clock, host="films.s3.test").get(f"/{key}"),
    "condition": lambda house, key: house.get(f"/films/{key}", if_match="*"),
}


@pytest.mark.parametrize("way", WAYS)
def test_09_whole_range_part_link_and_host_style_are_decided_alike_in_every_state(tmp_path, way):
    house = everywhere(House(tmp_path, options={"virtual_host": {"domains": "s3.test"}}))
    for key in ("tape", "wanted", "expired"):
        answer = WAYS[way](house, key)
        assert (answer.status, answer.code, answer.xml.findtext("StorageClass")) == (403, "InvalidObjectState", "GLACIER"), key
    for key in ("online", "restored"):
        answer = WAYS[way](house, key)
        assert (answer.status, answer.body) in ((200, FILM), (206, FILM), (206, FILM[5:9])), key


def test_10_no_operation_gets_past_the_decision(house):
    """Every operation there is, on an object on tape: none gives a byte of it, none makes another object of it."""
    house.put("/films/other", b"other")
    house.archive("/films/tape", FILM)
    for operation in operations.OPERATIONS.values():
        if operation.scope != "object" or operation.name in ("DeleteObject", "PutObject", "RestoreObject"):
            continue
        sub = operation.subresource.replace("copy", "").strip()
        query = {"uploadId": "uploadId=u&partNumber=1"}.get(sub, sub)
        sources = ("films/tape", "/films/tape", "films/%74ape", "films/tape?versionId=null") if "copy" in operation.subresource else ("",)
        for source in sources:
            key, fields = ("copy", {"x_amz_copy_source": source}) if source else ("tape", {})
            answer = house.editor.request(operation.method, f"/films/{key}?{query}" if query else f"/films/{key}", **fields)
            assert b"frames" not in answer.body, operation
            assert not source or (answer.status, answer.code) == (403, "InvalidObjectState"), operation
    assert house.head("/films/copy").status == 404
    assert house.put("/films/tape", x_amz_copy_source="/films/tape", x_amz_storage_class="STANDARD").code == "InvalidObjectState"
    for odd in ("website", "torrent", "select&select-type=2", "x-id=GetObject", "response-content-type=a/b", "versionId=null"):
        for method in ("GET", "POST"):
            answer = house.editor.request(method, f"/films/tape?{odd}")
            assert answer.status >= 400, odd
            assert b"frames" not in answer.body, odd
