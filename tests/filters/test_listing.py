"""The spliced listing, held against one store that has everything: page by page, in all three forms."""

from dataclasses import replace
from itertools import groupby
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from s3shunt.catalog.memory import MemoryCatalog
from s3shunt.config import Ini
from s3shunt.connect import House
from s3shunt.filters.listing import Listing, Options
from s3shunt.model import Entry, Facts, Identity, Interest, ObjectRef, State, Step, Swap
from s3shunt.protocol import listing, listing_xml
from s3shunt.protocol.errors import InvalidArgument, ServiceUnavailable
from s3shunt.protocol.listing import Item, Kind, Page, Query, iso
from s3shunt.testing.clock import HandClock
from s3shunt.wsgi import Request, Response

NOW = HandClock().now()
OLD = NOW - 86_400_000
S = State


def etag(key, version="null"):
    return f'"{hash((key, version)) & 0xFFFFFFFF:032x}"'


def stored(key, version=None, latest=False, marker=False, at=OLD):
    return Item(
        key=key, size="5", etag=etag(key, version or "null"), last_modified=iso(at), owner=("o", "o"),
        version=version, latest=latest, delete_marker=marker,
    )  # fmt: skip


def row(key, state=S.ARCHIVED, version=None, current=True, at=OLD, **known):
    given = {"storage_class": "GLACIER", "facts": Facts(size=7, etag=etag(key, version or "null"), last_modified=at)} | known
    return Entry(ref=ObjectRef("films", key, version), state=state, current=current, **given)


class Store:
    """Answers listings of a fixed bucket as S3 stores do.

    ``again``: a prefix is listed again although the marker lies within it, as on Swift.
    """

    def __init__(self, items, again=False):
        self.items = sorted(items, key=lambda item: self.order(item.key))
        self.again = again
        self.asked = []

    def order(self, name):
        return name

    def __call__(self, request):
        query = listing.asked(request.parameters, request.fields)
        assert request.ref == ObjectRef("films")
        assert query.token is None, "a store's own token is never needed"
        self.asked.append(request.parameters)
        items = self.behind(query)
        names = [(name, [one for _, one in group]) for name, group in groupby(self.named(items, query), key=lambda pair: pair[0])]
        listed = []
        for name, group in names:
            listed.extend([name] if listing.is_prefix(name, query) else group)
        cut = tuple(listed[: query.limit])
        more = len(listed) > query.limit > 0
        last = cut[-1] if more else None
        following = last and ((last, None) if isinstance(last, str) else (last.key, last.version))
        body = listing_xml.write(query, "films", Page(cut, following), "opaque" if more else None)
        headers = [("Content-Type", "application/xml"), ("x-amz-request-charged", "requester"), ("ETag", '"x"')]
        return Response(status=200, headerlist=headers, body=body)

    def named(self, items, query):
        for one in items:
            name = listing.name_of(one.key, query)
            if self.again or self.order(name) > self.order(query.after) or query.kind is Kind.VERSIONS:
                yield name, one

    def behind(self, query):
        items = [replace(one, version=one.version or "null") for one in self.items if one.key.startswith(query.prefix)]
        if query.after_version:
            known = [(one.key, one.version) for one in items]
            return items[known.index((query.after, query.after_version)) + 1 :]
        behind = [one for one in items if self.order(one.key) > self.order(query.after)]
        if query.kind is Kind.VERSIONS and query.after and not self.again:
            after = self.order(query.after)
            behind = [one for one in behind if self.order(listing.name_of(one.key, query)) > after]
        return behind


class Directories(Store):
    """Lists as a file system does, in pages of its own: what a directory holds comes before its name's longer siblings."""

    def order(self, name):
        return name.replace("/", "\0")


def site(tmp_path, store, rows, **options):
    """The door between a client and a scripted store."""
    (tmp_path / "s.ini").write_text(f"[DEFAULT]\nstate = {tmp_path}\n")
    house = House(Ini(tmp_path / "s.ini", environ={}), HandClock())
    catalog = MemoryCatalog()
    house.put("catalog", "main", catalog)
    assert catalog.commit(Step(swaps=tuple(Swap(None, each) for each in rows)))
    return Listing(store, Options(**options), house)


def ask(door, query="", **headers):
    environ = Request.blank("/").environ | {"RAW_URI": f"/films?{query}", "REQUEST_METHOD": "GET"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    request = Request(environ)
    request.context.identity = Identity(access_key="AK", account="main")
    return door(request)


def read(response, kind=Kind.V1):
    assert response.status_int == 200
    return listing_xml.read(response.body, kind)


def text(response, tag):
    root = etree.fromstring(response.body)
    return root.findtext(f"{{*}}{tag}")


def names(page):
    return [listing_xml.name(one) for one in page.items]


def walk(door, kind, **parameters):
    """All pages of a listing, as a client takes them."""
    following, seen = {}, []
    for _ in range(500):
        form = {Kind.V1: {}, Kind.V2: {"list-type": "2"}, Kind.VERSIONS: {"versions": ""}}[kind]
        pairs = {**form, **parameters, **following}
        response = ask(door, "&".join(f"{name}={listing_xml.quote(value, safe='')}" for name, value in pairs.items()))
        page = read(response, kind)
        assert len(page.items) <= int(parameters.get("max-keys", 1000))
        seen.extend(page.items)
        if not page.truncated:
            return seen
        assert page.items, "an empty page that says there is more"
        following = next_of(response, kind, page, parameters)
    raise AssertionError("the listing does not end")


def next_of(response, kind, page, parameters):
    def told(tag):
        value = text(response, tag)
        return listing_xml.unquote_plus(value) if value and parameters.get("encoding-type") else value

    if kind is Kind.V2:
        assert text(response, "KeyCount") == str(len(page.items))
        return {"continuation-token": text(response, "NextContinuationToken")}
    if kind is Kind.V1:
        return {"marker": told("NextMarker") or page.items[-1].key}
    return {"key-marker": told("NextKeyMarker")} | ({"version-id-marker": v} if (v := text(response, "NextVersionIdMarker")) else {})


# What a name is shown as


@pytest.mark.parametrize("state", [S.ARCHIVED, S.QUEUED, S.RECALLING, S.LANDING, S.RESTORED, S.EXPIRING, S.LOST])
def test_where_the_catalog_is_the_truth_its_entry_is_listed_whatever_the_store_says(tmp_path, state):
    for items in ([], [replace(stored("a"), size="1", etag='"other"')]):
        door = site(tmp_path, Store(items), [row("a", state)])
        [item] = read(ask(door)).items
        assert (item.key, item.size, item.storage_class, item.etag, item.last_modified) == ("a", "7", "GLACIER", etag("a"), iso(OLD))


@pytest.mark.parametrize("state", [S.ONLINE, S.ARCHIVING, S.VERIFIED, S.EVICTING])
def test_where_the_store_is_the_truth_its_item_is_listed_with_the_class_asked_at_put(tmp_path, state):
    items = [stored("class"), stored("age"), replace(stored("newer"), etag='"newer"')]
    rows = [row("class", state), row("age", state, storage_class="STANDARD"), row("newer", state)]
    listed = {item.key: item for item in read(ask(site(tmp_path, Store(items), rows))).items}

    assert (listed["class"].size, listed["class"].storage_class) == ("5", "GLACIER")
    assert listed["age"].storage_class == "STANDARD"
    assert listed["newer"].storage_class == ("GLACIER" if state is S.EVICTING else "STANDARD")


@pytest.mark.parametrize("state", [S.ONLINE, S.ARCHIVING, S.VERIFIED])
def test_what_the_store_no_longer_has_is_not_shown_from_a_hint(tmp_path, state):
    assert names(read(ask(site(tmp_path, Store([]), [row("a", state)])))) == []


def test_a_key_does_not_disappear_in_the_middle_of_its_eviction(tmp_path):
    assert names(read(ask(site(tmp_path, Store([]), [row("a", S.EVICTING, token="t")])))) == ["a"]

    door = site(tmp_path, Store([]), [row("a", S.VERIFIED)])
    catalog = door.house.catalog()

    def evicts_meanwhile(request):
        verified = catalog.find(ObjectRef("films", "a"))
        evicting = replace(verified, state=S.EVICTING, token="t")
        assert catalog.commit(Step(swaps=(Swap(verified, evicting),)))
        evicting = catalog.find(ObjectRef("films", "a"))
        assert catalog.commit(Step(swaps=(Swap(evicting, replace(evicting, state=S.ARCHIVED)),)))
        return Store([])(request)

    door.forward = evicts_meanwhile
    assert names(read(ask(door))) == ["a"]


def test_a_tombstone_hides_what_the_store_still_has(tmp_path):
    rows = [row("a", S.DELETED), row("b", S.DELETED, facts=None), row("c/1", S.DELETED), row("d/1", S.DELETED)]
    door = site(tmp_path, Store([stored(key) for key in ("a", "b", "c/1", "d/1", "d/2")]), rows)

    assert names(read(ask(door))) == ["d/2"]
    assert names(read(ask(door, "delimiter=/"))) == ["d/"]


def test_of_a_placeholder_the_store_has_the_word(tmp_path):
    rows = [row("a", facts=None), row("b", S.ONLINE, facts=None)]

    assert names(read(ask(site(tmp_path, Store([stored("b")]), rows)))) == ["b"]


# RestoreStatus


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (row("a", S.ARCHIVED), None),
        (row("a", S.QUEUED), "true"),
        (row("a", S.RECALLING), "true"),
        (row("a", S.LANDING), "true"),
        (row("a", S.RESTORED, restored_until=NOW + 1000), "false" + iso(NOW + 1000)),
        (row("a", S.RESTORED, restored_until=NOW), None),
        (row("a", S.EXPIRING, restored_until=NOW - 1), None),
        (row("a", S.EXPIRING, interests=(Interest("i", 1),)), "true"),
        (row("a", S.VERIFIED, interests=(Interest("i", 1, until=NOW + 5),)), "false" + iso(NOW + 5)),
        (row("a", S.VERIFIED, interests=(Interest("i", 1, until=NOW),)), None),
        (row("a", S.VERIFIED, storage_class="STANDARD", interests=(Interest("i", 1, until=NOW + 5),)), None),
    ],
)
def test_restore_status_is_told_to_who_asks(tmp_path, entry, told):
    door = site(tmp_path, Store([stored("a")] if entry.state is S.VERIFIED else []), [entry])
    for query in ("", "list-type=2", "versions"):
        answer = ask(door, query, x_amz_optional_object_attributes="RestoreStatus")
        status = etree.fromstring(answer.body).find(".//{*}RestoreStatus")
        assert (None if status is None else "".join(status.itertext())) == told
        assert b"RestoreStatus" not in ask(door, query).body


# Versions


def test_the_archived_current_version_is_the_latest_and_no_other(tmp_path):
    items = [stored("a", "v1", latest=True, at=OLD), stored("b", "v9", latest=True, marker=True, at=NOW)]
    rows = [
        row("a", version="v2", at=OLD + 2000), row("a", version="v0", current=False, at=OLD - 1000),
        row("b", version="v8", current=False, at=OLD),
    ]  # fmt: skip
    shown = read(ask(site(tmp_path, Store(items), rows), "versions"), Kind.VERSIONS).items

    assert [(one.key, one.version, one.latest, one.delete_marker) for one in shown] == [
        ("a", "v2", True, False), ("a", "v1", False, False), ("a", "v0", False, False),
        ("b", "v9", True, True), ("b", "v8", False, False),
    ]  # fmt: skip


def test_a_client_may_delete_the_version_it_goes_on_from(tmp_path):
    rows = [row("a", version="v1", current=False, at=OLD)]

    door = site(tmp_path, Store([]), rows)
    assert names(read(ask(door, "versions&key-marker=a&version-id-marker=gone"), Kind.VERSIONS)) == ["a"]


# What is asked of the store, and what passes


def test_no_more_is_asked_than_needed(tmp_path):
    store = Store([stored(f"s{n:04}") for n in range(3000)])
    door = site(tmp_path, store, [row(f"r{n:04}") for n in range(3000)])

    page = read(ask(door, "list-type=2&max-keys=10"), Kind.V2)
    assert len(page.items) == 10
    assert [asked["max-keys"] for asked in store.asked] == ["10"]


def test_a_prefix_of_many_rows_costs_one_look(tmp_path):
    rows = [row(f"a/{n:05}") for n in range(3000)] + [row("b")]
    door = site(tmp_path, Store([]), rows)
    scans, catalog = [], door.house.catalog()
    original = catalog.scan
    catalog.scan = lambda *args, **given: scans.append(given) or original(*args, **given)

    assert names(read(ask(door, "delimiter=/"))) == ["a/", "b"]
    assert len(scans) == 2


def test_hidden_items_do_not_make_an_empty_page(tmp_path):
    rows = [row(f"a{n:04}", S.DELETED) for n in range(1500)]
    door = site(tmp_path, Store([stored(f"a{n:04}") for n in range(1500)] + [stored("b")]), rows)

    assert names(read(ask(door, "max-keys=2"))) == ["b"]


def test_a_walk_is_bounded_and_still_moves_on(tmp_path, monkeypatch):
    monkeypatch.setattr("s3shunt.protocol.listing.MAX_KEYS", 2)
    rows = [row(f"a{n:04}", S.DELETED) for n in range(50)]
    store = Store([stored(f"a{n:04}") for n in range(50)] + [stored("b")])
    door = site(tmp_path, store, rows)
    answer = ask(door, "max-keys=2")

    assert len(store.asked) == 20
    assert (text(answer, "IsTruncated"), names(read(answer))) == ("true", [])
    assert "a0030" < text(answer, "NextMarker") < "b"
    assert names(read(ask(door, "max-keys=2&marker=" + text(answer, "NextMarker")))) == ["b"]


@pytest.mark.parametrize("status", [301, 403, 404, 503])
def test_a_refusal_of_the_store_passes_untouched(tmp_path, status):
    answer = Response(status=status, body=b"<Error/>")

    assert ask(site(tmp_path, lambda request: answer, [row("a")])) is answer


def test_what_is_no_listing_passes_and_what_is_a_broken_one_does_not(tmp_path):
    foreign = ask(site(tmp_path, lambda request: Response(body=b"hello"), [row("a")]))
    assert foreign.body == b"hello"
    broken = site(tmp_path, lambda request: Response(body=b"<ListBucketResult><Key>"), [row("a")])
    with pytest.raises(ServiceUnavailable):
        ask(broken)


def test_a_store_that_fails_on_a_later_page_is_an_outage(tmp_path):
    store = Store([stored("a"), stored("b")])

    def answer(request):
        return Response(status=500) if store.asked else store(request)

    door = site(tmp_path, answer, [row("a", S.DELETED)])
    with pytest.raises(ServiceUnavailable):
        ask(door, "max-keys=1")


def test_other_headers_of_the_store_pass(tmp_path):
    answer = ask(site(tmp_path, Store([stored("a")]), []))

    assert answer.headers["x-amz-request-charged"] == "requester"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert "ETag" not in answer.headers


def test_a_plain_bucket_and_every_other_operation_pass_untouched(tmp_path):
    passed = []
    door = site(tmp_path, lambda request: passed.append(request) or Response(), [row("a")])
    for target in ("/films?uploads", "/films/a", "/", "/films?list-type=2"):
        environ = Request.blank("/").environ | {"RAW_URI": target}
        request = Request(environ)
        request.context.plain = True
        door(request)
        assert passed[-1] is request


def test_a_page_of_nothing_is_still_asked_of_the_store(tmp_path):
    store = Store([stored("a")])
    answer = ask(site(tmp_path, store, [row("b")]), "list-type=2&max-keys=0")

    assert (text(answer, "IsTruncated"), text(answer, "MaxKeys"), text(answer, "KeyCount")) == ("false", "0", "0")
    assert len(store.asked) == 1


def test_the_store_is_asked_in_the_name_of_the_same_request(tmp_path):
    asked = []
    door = site(tmp_path, lambda request: asked.append(request) or Store([])(request), [])
    environ = Request.blank("/").environ | {
        "RAW_PATH_INFO": "/ignored", "REQUEST_URI": "/films?prefix=a%2Bb%20%C3%A9", "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_X_AMZ_REQUEST_PAYER": "r", "HTTP_RANGE": "bytes=0-1", "HTTP_TRANSFER_ENCODING": "chunked",
    }  # fmt: skip
    request = Request(environ)
    request.at(ObjectRef("films", account="acct"))
    with pytest.raises(AssertionError):
        door(request)  # the scripted store knows no accounts

    [sub] = asked
    assert sub.target == "/films?prefix=a%2Bb%20%C3%A9&encoding-type=url&max-keys=1000"
    assert sub.environ["QUERY_STRING"] == sub.target.partition("?")[2]
    assert (sub.context, sub.ref, sub.operation) == (request.context, request.ref, request.operation)
    assert (sub.body_length, sub.chunked, sub.input.read(5)) == (0, False, b"")
    assert (sub.fields.get("x-amz-request-payer"), sub.fields.get("Accept-Encoding"), sub.fields.get("Range")) == ("r", None, None)



# Continuation tokens


def test_a_token_is_good_for_its_listing_alone(tmp_path):
    door = site(tmp_path, Store([stored(key) for key in "abc"]), [])
    token = text(ask(door, "list-type=2&max-keys=1"), "NextContinuationToken")

    assert names(read(ask(door, f"list-type=2&continuation-token={token}"), Kind.V2)) == ["b", "c"]
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for query in (f"prefix=a&continuation-token={token}", f"continuation-token={forged}", "continuation-token=", "continuation-token=%E9"):
        with pytest.raises((InvalidArgument, listing.S3Error)):
            ask(door, "list-type=2&" + query)


def test_a_token_of_ours_is_honoured_when_the_bucket_has_become_plain(tmp_path):
    store = Store([stored(key) for key in "abc"])
    door = site(tmp_path, store, [])
    token = text(ask(door, "list-type=2&max-keys=1"), "NextContinuationToken")
    request = Request(Request.blank("/").environ | {"RAW_URI": f"/films?list-type=2&continuation-token={token}"})
    request.context.plain = True

    assert names(read(door(request), Kind.V2)) == ["b", "c"]


def test_the_secret_is_kept_between_processes_and_private(tmp_path):
    doors = [site(tmp_path, Store([]), []) for _ in range(2)]

    assert doors[0].secret == doors[1].secret
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


# One store that has everything


KEYS = st.text(st.sampled_from(["a", "b", "/", "/", "-", "\uff5e", "\U0001f600", " ", "+", "&", "%", "\r"]), min_size=1, max_size=6)
PLACES = st.sampled_from(["online", "hinted", "archived", "shadowed", "restored", "tombstone", "gone", "evicting", "evicted"])


def split(world):
    """A world of keys in their places -> what the store has, the catalog's rows, and the keys a client should see."""
    items, rows, seen = [], [], []
    for key, place in world.items():
        if place not in ("archived", "restored", "gone", "evicted"):
            items.append(stored(key))
        if place != "online":
            state = {
                "hinted": S.ONLINE, "archived": S.ARCHIVED, "shadowed": S.LANDING, "restored": S.RESTORED,
                "tombstone": S.DELETED, "gone": S.DELETED, "evicting": S.EVICTING, "evicted": S.EVICTING,
            }[place]  # fmt: skip
            rows.append(row(key, state, token="t"))
        if place not in ("tombstone", "gone"):
            seen.append(key)
    return items, rows, sorted(seen, key=str.encode)


def oracle(keys, prefix, delimiter, after):
    shown = []
    for key in keys:
        name = listing.name_of(key, Query(kind=Kind.V1, prefix=prefix, delimiter=delimiter))
        if key.startswith(prefix) and name.encode() > after.encode() and name not in shown:
            shown.append(name)
    return shown


def lists_like_one_store(tmp, world, again, kind, prefix, delimiter, limit, after, encoded, make=Store, **options):
    items, rows, keys = split(world)
    if kind is Kind.VERSIONS:
        items = [replace(one, version="null", latest=True) for one in items]
    door = site(tmp, make(items, again), rows, **options)
    start = {Kind.V1: "marker", Kind.V2: "start-after", Kind.VERSIONS: "key-marker"}[kind]
    parameters = {"prefix": prefix, "delimiter": delimiter, "max-keys": str(limit), start: after}
    listed = walk(door, kind, **parameters, **({"encoding-type": "url"} if encoded else {}))

    assert [listing_xml.name(one) for one in sorted_pages(listed)] == oracle(keys, prefix, delimiter, after)
    assert all(one.latest for one in listed if kind is Kind.VERSIONS and not isinstance(one, str))


PREFIXES = ["", "", "a", "a/", "/", "\U0001f600"]
DELIMITERS = ["", "/", "/", "//", "b", "\U0001f600"]


@settings(max_examples=150, deadline=None)
@given(
    world=st.dictionaries(KEYS, PLACES, max_size=25), again=st.booleans(), kind=st.sampled_from(Kind),
    prefix=st.sampled_from(PREFIXES), delimiter=st.sampled_from(DELIMITERS),
    limit=st.integers(1, 7), after=st.just("") | KEYS, encoded=st.booleans(),
)  # fmt: skip
def test_07_store_and_catalog_together_list_like_one_store(tmp_path_factory, world, again, kind, prefix, delimiter, limit, after, encoded):
    lists_like_one_store(tmp_path_factory.getbasetemp(), world, again, kind, prefix, delimiter, limit, after, encoded)


@pytest.mark.parametrize("seed", range(8))
def test_crowded_buckets_list_like_one_store(tmp_path, seed):
    """Fewer letters and more keys than hypothesis likes to draw: prefixes full of hidden and archived keys."""
    chance = Random(seed)
    for _ in range(100):
        keys = {"".join(chance.choices("ab//\U0001f600\uff5e", k=chance.randint(1, 5))) for _ in range(chance.randint(1, 30))}
        few = chance.sample(["online", "hinted", "archived", "shadowed", "restored", "tombstone", "gone", "evicting", "evicted"], 3)
        world = {key: chance.choice(few) for key in sorted(keys)}
        kind, after = chance.choice(list(Kind)), chance.choice(["", "", *world])
        prefix, delimiter = chance.choice(PREFIXES), chance.choice(DELIMITERS)
        lists_like_one_store(tmp_path, world, chance.random() < 0.5, kind, prefix, delimiter, chance.randint(1, 7), after, encoded=False)


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_lists_like_a_file_system_is_put_in_order(tmp_path, seed, monkeypatch):
    monkeypatch.setattr("s3shunt.protocol.listing.MAX_KEYS", 9)
    chance = Random(seed)
    for _ in range(50):
        keys = {"".join(chance.choices("ab/-", k=chance.randint(1, 5))) for _ in range(chance.randint(1, 30))}
        world = {key: chance.choice(["online", "archived", "tombstone", "restored"]) for key in sorted(keys)}
        prefix, after = chance.choice(["", "", "a", "a/"]), chance.choice(["", "", *world])
        kind, delimiter = chance.choice(list(Kind)), chance.choice(["", "/"])
        given = prefix, delimiter, chance.randint(1, 9), after
        lists_like_one_store(tmp_path, world, False, kind, *given, encoded=False, make=Directories, order="directory")


def test_that_a_store_lists_like_a_file_system_is_noticed(tmp_path):
    items = [stored(key) for key in ("a/b", "a/c", "a-b", "a-c", "b")]
    store = Directories(items)
    door = site(tmp_path, store, [row("a.x")])

    assert names(read(ask(door, "max-keys=4"))) == ["a-b", "a-c", "a.x", "a/b"]
    assert names(read(ask(door, "max-keys=2"))) == ["a-b", "a-c"]
    assert store.asked[-1]["max-keys"] == "1000"


def sorted_pages(listed):
    """Within a page prefixes stand behind keys; read back they are in order, page for page."""
    found = [listing_xml.name(one) for one in listed]
    assert found == sorted(found, key=str.encode)
    assert len(found) == len(set(found))
    return listed


@settings(max_examples=150, deadline=None)
@given(
    world=st.dictionaries(
        st.sampled_from(["a", "a/b", "a/c", "a\U0010ffffz", "b", "\U0001f600", "\uff5e"]),
        st.lists(st.sampled_from(["store", "marker", "archived"]), min_size=1, max_size=6), max_size=5,
    ),
    limit=st.integers(1, 5), delimiter=st.sampled_from(["", "/"]),
)  # fmt: skip
def test_versions_of_store_and_catalog_list_like_one_store(tmp_path_factory, world, limit, delimiter):
    """``world``: the versions of each key, newest first, and where each is."""
    items, rows, expected = [], [], []
    for key in sorted(world, key=str.encode):
        latest_in_store = True
        for age, place in enumerate(world[key]):
            version, at = f"v{9 - age}", OLD - age * 1000
            if place == "archived":
                rows.append(row(key, version=version, current=age == 0, at=at))
            else:
                items.append(stored(key, version, latest_in_store, place == "marker", at))
                latest_in_store = False
            if delimiter and "/" in key:
                expected += ["a/"] if "a/" not in expected else []
            else:
                expected.append((key, version, age == 0, place == "marker"))
    door = site(tmp_path_factory.getbasetemp(), Store(items), rows)
    listed = walk(door, Kind.VERSIONS, **{"max-keys": str(limit), "delimiter": delimiter})

    assert [one if isinstance(one, str) else (one.key, one.version, one.latest, one.delete_marker) for one in listed] == expected
