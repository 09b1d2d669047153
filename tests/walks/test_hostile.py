"""Clients, links and stores that lie: what each of them gets is what its rights are, and nothing tells it more."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from s3shunt.protocol import operations, presigned
from s3shunt.protocol.operations import Right
from s3shunt.testing import house as houses
from s3shunt.testing.client import Client, call, environ
from s3shunt.testing.house import House

FILM = b"frames" * 2_000
MANY = b"<Delete><Object><Key>%s</Key></Object></Delete>"
STATES = ("online", "archived", "restored", "deleted", "unknown")
"""Keys of the site below, each called by what has become of it."""


class Site(House):
    """A house whose keys are in every state, and a count of what its doors asked of catalog, store and archive."""

    def __init__(self, tmp, keys=(), monkeypatch=None, **more):
        if keys:
            monkeypatch.setattr(houses, "KEYS", [*houses.KEYS, *keys])
        super().__init__(tmp, **more)
        self.put("/films/online", FILM)
        for name in ("archived", "restored", "deleted"):
            self.put(f"/films/{name}", FILM, x_amz_storage_class="GLACIER")
        self.work()
        self.restore("/films/restored")
        self.work()
        self.delete("/films/deleted")
        self.front.seen.clear()
        self.clients = {key["access_key"]: Client(self.app, key["access_key"], key["secret_key"], clock=self.clock) for key in keys}

    def asked(self, act):
        """The answer, and what it cost in calls of the ports."""
        ports, calls = [self.catalog, self.store, self.landing], []
        for port in ports:
            for name in PORTS:
                if hasattr(port, name):
                    setattr(port, name, watched(getattr(port, name), calls))
        try:
            return act(), [*calls, *self.front.seen]
        finally:
            self.front.seen.clear()
            for port in ports:
                for name in PORTS:
                    vars(port).pop(name, None)


PORTS = ("find", "find_truth", "scan", "history", "commit", "head", "read", "write", "delete", "list")


def watched(method, calls):
    def told(*args, **more):
        calls.append(method.__qualname__)
        return method(*args, **more)

    return told


def key(name, *allow, buckets=("films",), prefixes=("",), account="main"):
    grant = {"buckets": list(buckets), "prefixes": list(prefixes), "allow": list(allow)}
    return {"access_key": name, "secret_key": f"secret-{name}", "account": account, "grants": [grant]}


HOLDERS = [
    {"access_key": "NONE", "secret_key": "none", "account": "main", "grants": []},
    *(key(f"ONLY{right.upper()}", right) for right in Right),
    key("ELSEWHERE", *Right, buckets=("other",)),
    key("WITHIN", *Right, prefixes=("mine/",)),
]


@pytest.fixture
def site(tmp_path, monkeypatch):
    return Site(tmp_path, HOLDERS, monkeypatch)


def anyone(site, name):
    return Client(site.app, clock=site.clock) if name == "NOBODY" else site.clients[name]


def target(operation, name="archived"):
    path = {"service": "/", "bucket": "/films", "object": f"/films/{name}"}[operation.scope]
    sub = operation.subresource.replace("copy", "").strip()
    query = {"uploadId": "uploadId=u&partNumber=1"}.get(sub, sub)
    return f"{path}?{query}" if query else path


def fields(operation):
    return {"x_amz_copy_source": "films/online"} if "copy" in operation.subresource.split() else {}


OBJECTS = [o for o in operations.OPERATIONS.values() if o.scope == "object"]


@pytest.mark.parametrize("holder", ["NOBODY", *(held["access_key"] for held in HOLDERS)])
def test_12_who_has_not_the_right_is_denied_alike_whatever_became_of_the_key(site, holder):
    """No state of a key, and no condition on it, shows in the answer to one without the right, nor in what it costs."""
    assert site.asked(lambda: site.get("/films/online"))[1]
    client = anyone(site, holder)
    for operation in OBJECTS:
        if holder == f"ONLY{operation.right.upper()}":
            continue
        seen = set()
        for name in STATES:
            for more in ({}, {"if_match": '"x"'}, {"if_none_match": "*"}, {"range": "bytes=999999-"}):
                sent = {**fields(operation), **more}
                answer, calls = site.asked(lambda s=sent, n=name: client.request(operation.method, target(operation, n), **s))
                seen.add((answer.status, answer.code, *calls))
        assert seen == {(403, "" if operation.method == "HEAD" else "AccessDenied")}, operation


@pytest.mark.parametrize("holder", ["NOBODY", *(held["access_key"] for held in HOLDERS)])
def test_who_has_not_the_right_is_denied_on_buckets_too(site, holder):
    client = anyone(site, holder)
    for operation in operations.OPERATIONS.values():
        fits = holder == f"ONLY{operation.right.upper()}" or (operation.name in ("HeadBucket", "GetBucketLocation") and holder == "WITHIN")
        lists = operation.name == "ListBuckets" and holder in ("ELSEWHERE", "WITHIN")
        if operation.scope == "object" or operation.name == "PostObject" or fits or lists:
            continue
        body = MANY % b"archived" if operation.name == "DeleteObjects" else b""
        answer, calls = site.asked(lambda o=operation, b=body: client.request(o.method, target(o), b))
        if operation.name == "DeleteObjects" and holder != "NOBODY":
            assert [e.findtext("{*}Code") for e in answer.xml.iter("{*}Error")] == ["AccessDenied"], operation
        else:
            assert (answer.status, answer.code) == (403, "" if operation.method == "HEAD" else "AccessDenied"), operation
        assert not [call for call in calls if call.rpartition(".")[2] in ("commit", "delete", "write", "read")], operation
    assert site.head("/films/archived").status == 200


def test_a_document_of_keys_tells_nothing_of_those_that_are_denied(site):
    client = site.clients["WITHIN"]
    document = b"<Delete>" + b"".join(b"<Object><Key>%s</Key></Object>" % name.encode() for name in (*STATES, "mine/x")) + b"</Delete>"
    answer = client.post("/films?delete", document)
    told = {e.findtext("{*}Key"): (e.findtext("{*}Code"), e.findtext("{*}Message")) for e in answer.xml.iter("{*}Error")}
    assert told == dict.fromkeys(STATES, ("AccessDenied", "Access Denied"))
    assert [d.findtext("{*}Key") for d in answer.xml.iter("{*}Deleted")] == ["mine/x"]


@pytest.mark.parametrize(
    "query", ["prefix=", "list-type=2", "prefix=min", "prefix=&prefix=mine/", "versions", "prefix=MINE/", "prefix=mine%2f..%2f"]
)
def test_a_listing_stays_within_its_prefix(site, query):
    answer = site.clients["WITHIN"].get(f"/films?{query}")
    if query == "prefix=mine%2f..%2f":
        assert not list(answer.xml.iter("{*}Contents"))
    else:
        assert answer.code == "AccessDenied"


@pytest.mark.parametrize("archived_get", ["restore", "busy"])
def test_a_get_starts_no_restore_for_who_may_not_restore(tmp_path, monkeypatch, archived_get):
    site = Site(
        tmp_path,
        HOLDERS,
        monkeypatch,
        options={"shunt": {"archived_get": archived_get}, "grants": {"anonymous_read": "films", "anonymous_account": "main"}},
    )
    for holder in ("ONLYREAD", "NOBODY"):
        assert anyone(site, holder).get("/films/archived").code == "InvalidObjectState"
        assert "x-amz-restore" not in site.head("/films/archived").headers
    assert site.get("/films/archived").status == (202 if archived_get == "busy" else 403)
    assert site.head("/films/archived").headers["x-amz-restore"] == 'ongoing-request="true"'


# Copy sources


@pytest.mark.parametrize(
    "source",
    [
        "films/archived", "/films/archived", "films/%61rchived", "films/archived?versionId=null", "films/archived?versionId=",
        "films/archived?versionId=x&versionId=null", "films/archived?x=y&versionId=null",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["/films/new", "/films/new?partNumber=1&uploadId=UPLOAD"])
def test_10_no_spelling_of_a_source_copies_what_is_on_tape(site, source, where):
    upload = site.editor.post("/films/new?uploads").xml.findtext("{*}UploadId")
    answer = site.put(where.replace("UPLOAD", upload), x_amz_copy_source=source)
    assert answer.code in ("InvalidObjectState", "ObjectNotInActiveTierError")
    assert site.head("/films/new").status == 404


@pytest.mark.parametrize(
    "source", ["secret/a", "/secret/a", "secret%2Fa", "mine/../secret/a", "films/../secret/a", "//secret/a", "films/a", ""]
)
def test_no_spelling_of_a_source_reads_what_is_not_granted(tmp_path, monkeypatch, source):
    site = Site(tmp_path, [key("WITHIN", "read", "write", prefixes=("mine/",))], monkeypatch)
    site.put("/secret")
    site.put("/secret/a", b"secret")
    site.put("/films/a", b"secret")
    site.put("/films/mine/in", b"fine")
    client = site.clients["WITHIN"]
    assert client.put("/films/mine/copy", x_amz_copy_source="films/mine/in").status == 200
    for where in ("/films/mine/out", "/films/mine/out?partNumber=1&uploadId=u"):
        assert client.put(where, x_amz_copy_source=source).status in (400, 403, 404)
    assert site.head("/films/mine/out").status == 404


def test_a_source_beside_tags_is_no_copy(site):
    tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    assert site.put("/films/archived?tagging", tags, x_amz_copy_source="films/online").status == 200
    assert site.get("/films/archived").code == "InvalidObjectState"


def test_accounts_are_worlds_of_their_own(site):
    site.stranger.put("/films")
    for path in ("/films/online", "/films/archived", "/films/restored"):
        assert site.stranger.get(path).code == "NoSuchKey"
        assert site.stranger.put("/films/mine", x_amz_copy_source=path).code == "NoSuchKey"
        assert site.restore(path, client=site.stranger).code == "NoSuchKey"
        assert site.stranger.delete(path).status == 204
    assert site.stranger.post("/films?delete", MANY % b"archived").status == 200
    assert not list(site.stranger.get("/films").xml.iter("{*}Contents"))
    assert site.head("/films/archived").status == site.head("/films/online").status == 200


# Links


def link(site, method, path, query=(), expires=60, **fields):
    client = site.editor
    stamp = datetime.fromtimestamp(site.clock.now() // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": client.host, **{name.replace("_", "-"): value for name, value in fields.items()}}
    made = presigned.presign(
        method, path, list(query), signed, access_key=client.access_key, secret_key=client.secret_key, timestamp=stamp, expires=expires
    )
    return f"{path}?{made}"


def follow(site, method, url, body=b"", **fields):
    return call(site.app, environ(method, url, body, {name.replace("_", "-"): value for name, value in fields.items()}))


def test_a_link_writes_one_object_and_copies_none(site):
    url = link(site, "PUT", "/films/upload")
    for fields in (
        {"x_amz_copy_source": "films/online"}, {"x_amz_copy_source": ""}, {"x_amz_acl": "public-read"}, {"x_amz_storage_class": "GLACIER"},
        {"x_amz_meta_a": "b"}, {"x_amz_tagging": "a=b"}, {"x_amz_decoded_content_length": "1"},
        {"x_amz_content_sha256": TRAILING},
        {"x_amz_restore": "1"}, {"x_amz_security_token": "t"}, {"x_amz_expected_bucket_owner": "main"},
    ):  # fmt: skip
        assert follow(site, "PUT", url, b"x", **fields).status in (400, 403), fields
    assert site.head("/films/upload").status == 404
    assert follow(site, "PUT", url, b"x").status == 200


@pytest.mark.parametrize(
    "changed",
    [
        "&acl",
        "&tagging",
        "&versionId=null",
        "&partNumber=1&uploadId=u",
        "&restore",
        "&response-content-type=a",
        "&x-amz-copy-source=films/online",
        "&x-id=GetObject",
    ],
)
def test_a_link_means_no_more_than_was_signed(site, changed):
    url = link(site, "PUT", "/films/upload")
    assert follow(site, "PUT", url + changed, b"x").status == 403
    for method in ("GET", "POST", "DELETE", "HEAD"):
        assert follow(site, method, url + changed).status in (403, 501)
    assert follow(site, "PUT", url.replace("/films/upload?", "/films/other?")).status == 403


@pytest.mark.parametrize(
    "more",
    [
        "&X-Amz-Signature=0",
        "&X-Amz-Expires=604800",
        "&X-Amz-Date=20990101T000000Z",
        "&X-Amz-SignedHeaders=host",
        "&AWSAccessKeyId=AK&Signature=x",
        "&x-amz-signature=0",
    ],
)
def test_a_second_credential_of_any_kind_is_refused(site, more):
    url = link(site, "GET", "/films/online")
    assert follow(site, "GET", url).status == 200
    assert follow(site, "GET", url + more).status in (400, 403)
    assert follow(site, "GET", url, authorization="AWS4-HMAC-SHA256 Credential=x").code == "InvalidArgument"
    assert follow(site, "GET", url.replace("X-Amz-Signature", "x-amz-signature")).status in (400, 403)
    site.later(seconds=61)
    assert follow(site, "GET", url).code == "AccessDenied"


def test_a_link_to_an_archived_object_opens_it_no_earlier(site):
    for query in ((), (("partNumber", "1"),), (("versionId", "null"),), (("response-content-type", "a/b"),)):
        assert follow(site, "GET", link(site, "GET", "/films/archived", query)).code == "InvalidObjectState"


@pytest.mark.parametrize("name", ["x-amz-storage-class", "X-Amz-Storage-Class"])
def test_a_class_signed_into_a_links_query_binds(site, name):
    """Some SDKs hoist headers; who asked for GLACIER there is not to get something else unsaid."""
    assert follow(site, "PUT", link(site, "PUT", "/films/hoisted", ((name, "GLACIER"),)), b"x").status == 200
    assert site.get("/films/hoisted").code == "InvalidObjectState"
    assert follow(site, "PUT", link(site, "PUT", "/films/hoisted", ((name, "Glacier"),)), b"x").code == "InvalidStorageClass"


def test_a_source_signed_into_a_links_query_needs_its_rights_too(site):
    url = link(site, "PUT", "/films/hoisted", (("x-amz-copy-source", "films/archived"),))
    assert follow(site, "PUT", url).code == "InvalidObjectState"
    site.editor = site.clients["ONLYWRITE"]
    for source in ("films/online", "films/archived", "films/unknown"):
        assert follow(site, "PUT", link(site, "PUT", "/films/hoisted", (("x-amz-copy-source", source),))).code == "AccessDenied"
    assert follow(site, "PUT", link(site, "PUT", "/films/hoisted", (("x-amz-acl", "public-read"),)), b"x").code == "AccessDenied"
    assert follow(site, "PUT", link(site, "PUT", "/films/hoisted", (("x-amz-acl", "private"),)), b"x").status == 200


# Bodies

TRAILING = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHAINED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CRC = {"x_amz_trailer": "x-amz-checksum-crc32"}
ZEROS = b"0" * 64


@pytest.mark.parametrize(
    ("payload", "fields", "body"),
    [
        ("NONE", {}, b"x"),
        ("unsigned-payload", {}, b"x"),
        ("UNSIGNED-PAYLOAD-TRAILER", {}, b"x"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", {}, b"x"),
        ("0" * 64, {}, b"x"),
        ("0" * 63 + "G", {}, b"x"),
        ("UNSIGNED-PAYLOAD", {"x_amz_trailer": "x-amz-checksum-crc32"}, b"x"),
        ("UNSIGNED-PAYLOAD", {"content_md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"x"),
        ("UNSIGNED-PAYLOAD", {"content_md5": "x"}, b"x"),
        ("UNSIGNED-PAYLOAD", {"x_amz_checksum_crc32": "AAAAAA=="}, b"x"),
        (TRAILING, {}, b"1\r\nx\r\n0\r\n\r\n"),
        (TRAILING, {"x_amz_trailer": "x-amz-meta-a"}, b"1\r\nx\r\n0\r\nx-amz-meta-a:b\r\n\r\n"),
        (TRAILING, CRC, b"1\r\nx\r\n0\r\n\r\n"),
        (TRAILING, CRC, b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
        (TRAILING, CRC, b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNFXrg==\r\n" * 2 + b"\r\n"),
        (TRAILING, CRC, b"ffffffffffffffff\r\nx"),
        (TRAILING, CRC, b"-1\r\nx\r\n0\r\n\r\n"),
        (TRAILING, CRC, b"1;a=" + b"b" * 5000 + b"\r\nx\r\n0\r\n\r\n"),
        (CHAINED, {}, b"1\r\nx\r\n0\r\n\r\n"),
        (CHAINED, {}, b"1;chunk-signature=" + ZEROS + b"\r\nx\r\n0;chunk-signature=" + ZEROS + b"\r\n\r\n"),
        (f"{CHAINED}-TRAILER", CRC, b"0;chunk-signature=" + ZEROS + b"\r\n\r\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "more", [{}, {"x_amz_decoded_content_length": "1"}, {"x_amz_decoded_content_length": "2"}, {"x_amz_decoded_content_length": "-1"}]
)
@pytest.mark.parametrize("path", ["/films/lie", "/films/online"])
def test_a_body_that_is_not_what_was_promised_stores_nothing(site, path, payload, fields, body, more):
    answer = site.put(path, body, x_amz_content_sha256=payload, **fields, **more)
    assert 400 <= answer.status < 500, answer
    assert site.get(path).body == FILM if path == "/films/online" else site.head(path).status == 404


def test_what_a_signature_does_not_fit_is_refused_before_its_body_is_looked_at(site):
    for payload in (TRAILING, "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "nonsense"):
        client = Client(site.app, "AKEDITOR", "wrong", clock=site.clock)
        made = client.environ("PUT", "/films/lie", b"x" * 9, {"x-amz-content-sha256": payload})
        answer = call(site.app, made)
        assert (answer.code, made["wsgi.input"].tell()) == ("SignatureDoesNotMatch", 0)


# Names


NAMES = [
    "a%1Fb", "a%0d%0aSet-Cookie:%20x", "%22%27%5c;--", "%25%2e%2e%2f",
    "..%2f..%2fetc%2fpasswd", "../../etc/passwd", "./a", "a//b", "a/", "a%2Fb",
    "a+b", "a%20b", "trailing...", "%C3%A9", "e%CC%81", "%F0%9F%8E%9E", "%EF%BF%BE", "%7F%01%1b%5B2J", "x" * 1024,
    "-/live", "%3Cb%3E%26amp;", "{}%24(id)",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_itself_and_no_other(tmp_path, name):
    house = House(tmp_path)
    body = name.encode()
    house.archive(f"/films/{name}", body, x_amz_meta_name="é\x7f".replace("\x7f", ""))
    (row,) = house.catalog.scan("main", "films")
    assert house.get(f"/films/{name}").code == "InvalidObjectState"
    assert house.restore(f"/films/{name}").status == 202
    house.work()
    answer = house.get(f"/films/{name}")
    assert answer.body == body
    assert not any(ord(c) < 32 or ord(c) == 127 for value in answer.headers.values() for c in value)
    assert house.get("/films?encoding-type=url").xml.findtext("{*}Contents/{*}Key")
    assert house.get("/films").xml is not None
    for other in ("a", "a/b", "etc/passwd", "a%C3%A9", "%C3%A8", "live"):
        assert house.head(f"/films/{other}").status == (200 if row.ref.key == other else 404)
    assert house.delete(f"/films/{name}").status == 204
    assert not list(house.get("/films").xml.iter("{*}Contents"))


@pytest.mark.parametrize("name", ["%00", "a%00b", "%ED%A0%80", "%C0%AF", "%FF", "%", "%zz", "x" * 1025, "%C3%A9" * 513])
def test_what_is_no_key_is_refused(house, name):
    for answer in (house.get(f"/films/{name}"), house.put(f"/films/{name}", b"x"), house.restore(f"/films/{name}")):
        assert answer.code in ("InvalidURI", "KeyTooLongError", "SignatureDoesNotMatch")


@pytest.mark.parametrize("bucket", ["..", "a", "%2e%2e", "films%2f..", "films%00", "fi%0d%0alms", "x" * 300, "s3shunt:", "films%20"])
def test_what_is_no_bucket_is_refused(house, bucket):
    for method in ("GET", "PUT", "DELETE"):
        assert house.editor.request(method, f"/{bucket}/a").code in ("InvalidBucketName", "InvalidURI")


@pytest.mark.parametrize(
    "query",
    ["acl&tagging", "restore&restore", "Restore", "RESTORE=", "torrent", "website", "select&select-type=2", "partNumber=0", "partNumber=x"],
)
def test_no_query_opens_what_is_on_tape(site, query):
    answer = site.get(f"/films/archived?{query}")
    assert answer.status >= 400
    assert FILM not in answer.body


def test_the_first_of_a_repeated_parameter_counts_everywhere(site):
    assert site.get("/films/archived?acl&acl=").status == 200
    assert site.get("/films/restored?partNumber=1&partNumber=2").body == FILM
    assert site.get("/films/archived?versionId=null&versionId=x").code == "InvalidObjectState"
    assert site.get("/films/online?versionId=x&versionId=null").code == "NoSuchVersion"


# Tokens


def test_a_token_goes_on_only_in_its_own_listing(site):
    site.put("/films/zz", b"x")
    token = site.get("/films?list-type=2&max-keys=1").xml.findtext("{*}NextContinuationToken")
    assert site.get(f"/films?list-type=2&continuation-token={token}").status == 200
    site.put("/films-2")
    site.stranger.put("/films")
    for client, path in (
        (site.editor, "/films?prefix=a&"),
        (site.editor, "/films?delimiter=/&"),
        (site.editor, "/films-2?"),
        (site.stranger, "/films?"),
    ):
        assert client.get(f"{path}list-type=2&continuation-token={token}").code == "InvalidArgument"
    for forged in (token[:-1], token[::-1], "A" * len(token), "%C3%A9", "", "A" * 3000):
        assert site.get(f"/films?list-type=2&continuation-token={forged}").code == "InvalidArgument"


# Stores


class Liar:
    """A store that answers what the test says, where it says something."""

    def __init__(self, front):
        self.front = front
        self.lies = {}

    def __call__(self, request):
        response = self.front(request)
        lie = self.lies.get(request.operation.name)
        return lie(response) if lie else response


@pytest.fixture
def lied(tmp_path):
    house = House(tmp_path)
    liar = Liar(house.front)
    app = houses.Application(houses.pipeline(house.house, houses.WALK, liar, {}))
    house.app = app
    house.editor.app = app
    house.liar = liar
    return house


def test_what_the_store_says_of_restores_and_archive_classes_is_not_handed_on(lied):
    def lie(response):
        response.headerlist = [*response.headerlist, ("x-amz-restore", 'ongoing-request="false"'), ("x-amz-storage-class", "GLACIER")]
        return response

    lied.put("/films/a", b"x")
    lied.liar.lies["GetObject"] = lied.liar.lies["HeadObject"] = lie
    for answer in (lied.get("/films/a"), lied.head("/films/a")):
        assert "x-amz-restore" not in answer.headers
        assert "x-amz-storage-class" not in answer.headers


@pytest.mark.parametrize("size", [-1, 1])
def test_a_landed_copy_of_another_size_is_recalled_anew(site, size):
    (name,) = site.landing._keys
    held = site.landing._keys[name][0]
    body = FILM[:size] if size < 0 else FILM + b"x"
    site.landing._keys[name] = [replace(held, body=body, facts=replace(held.facts, size=len(body)))]
    assert site.get("/films/restored").code == "InvalidObjectState"
    site.work()
    assert site.get("/films/restored").body == FILM


def test_a_landed_copy_that_says_its_size_and_has_fewer_bytes_breaks_off(site):
    (name,) = site.landing._keys
    held = site.landing._keys[name][0]
    site.landing._keys[name] = [replace(held, body=FILM[:-1])]
    answer = site.get("/films/restored")
    assert answer.broken is not None
