"""What a head may be: a table of what it may not, mutations of the lines that frame a body, and any bytes at all."""

import random
import re
from contextlib import suppress

import pytest
from httptools import HttpParserUpgrade, HttpRequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3shunt.server import grammar
from s3shunt.server.grammar import Limits, Refused

LIMITS = Limits()


def request(*lines, first=b"PUT /films/a HTTP/1.1", host=b"Host: x", end=b"\r\n"):
    return end.join([first, *([host] if host else []), *lines, b"", b""])


def plan(head, limits=LIMITS):
    environ = {}
    return grammar.read(head, environ, limits), environ


BARE = {
    # the request line
    "nothing but an end": b"\r\n\r\n",
    "a line of one word": b"GET\r\n\r\n",
    "no target": request(first=b"GET HTTP/1.1"),
    "no version": request(first=b"GET /"),
    "HTTP/0.9": request(first=b"GET / HTTP/0.9"),
    "HTTP/2.0": request(first=b"GET / HTTP/2.0"),
    "HTTP/1.2": request(first=b"GET / HTTP/1.2"),
    "HTTP/1.10": request(first=b"GET / HTTP/1.10"),
    "HTTP/01.1": request(first=b"GET / HTTP/01.1"),
    "HTTP/1.": request(first=b"GET / HTTP/1."),
    "HTTP/1": request(first=b"GET / HTTP/1"),
    "http in small letters": request(first=b"GET / http/1.1"),
    "another protocol": request(first=b"GET / HTTPS/1.1"),
    "a space behind the version": request(first=b"GET / HTTP/1.1 "),
    "a word behind the version": request(first=b"GET / HTTP/1.1 x"),
    "two spaces before the target": request(first=b"GET  / HTTP/1.1"),
    "two spaces before the version": request(first=b"GET /  HTTP/1.1"),
    "a tab before the target": request(first=b"GET\t/ HTTP/1.1"),
    "a tab before the version": request(first=b"GET /\tHTTP/1.1"),
    "a space before the method": request(first=b" GET / HTTP/1.1"),
    "a form feed as a separator": request(first=b"GET\x0c/ HTTP/1.1"),
    "a method that is no token": request(first=b"G@T / HTTP/1.1"),
    "a method with a colon": request(first=b"GET: / HTTP/1.1"),
    "a method beyond ASCII": request(first=b"G\xc3\x89T / HTTP/1.1"),
    "a method in brackets": request(first=b"<GET> / HTTP/1.1"),
    "a method of 65 letters": request(first=b"G" * 65 + b" / HTTP/1.1"),
    "a relative target": request(first=b"GET films/a HTTP/1.1"),
    "an empty target": request(first=b"GET  HTTP/1.1"),
    "a target that is a query": request(first=b"GET ?a HTTP/1.1"),
    "a star with another method": request(first=b"GET * HTTP/1.1"),
    "an authority as target": request(first=b"GET x:80 HTTP/1.1"),
    "CONNECT": request(first=b"CONNECT x:80 HTTP/1.1"),
    "a fragment": request(first=b"GET /a#b HTTP/1.1"),
    "a NUL in the target": request(first=b"GET /a\x00b HTTP/1.1"),
    "a DEL in the target": request(first=b"GET /a\x7fb HTTP/1.1"),
    "a target beyond ASCII": request(first=b"GET /\xc3\xa9 HTTP/1.1"),
    "a CR in the target": request(first=b"GET /a\rb HTTP/1.1"),
    "another host in the target": request(first=b"GET http://y/a HTTP/1.1"),
    "another port in the target": request(first=b"GET http://x:81/a HTTP/1.1"),
    "a user in the target": request(first=b"GET http://u@x/a HTTP/1.1"),
    "another scheme": request(first=b"GET ftp://x/a HTTP/1.1"),
    "an absolute target without a host": request(first=b"GET http:///a HTTP/1.1"),
    # ends of lines
    "LF alone throughout": request(end=b"\n"),
    "LF alone behind the request line": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "LF alone behind a header": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "LF alone as the empty line": b"GET / HTTP/1.1\r\nHost: x\r\n\n\r\n\r\n",
    "CR alone as an end": b"GET / HTTP/1.1\rHost: x\r\n\r\n",
    "CR alone in a value": request(b"A: b\rc"),
    "CR before CR LF": request(b"A: b\r"),
    "LF CR as an end": b"GET / HTTP/1.1\n\rHost: x\r\n\r\n",
    # names
    "no colon": request(b"A"),
    "no name": request(b": b"),
    "a space before the colon": request(b"A : b"),
    "a tab before the colon": request(b"A\t: b"),
    "a space in a name": request(b"A B: c"),
    "a name beyond ASCII": request(b"\xc3\x89: b"),
    "a name in brackets": request(b"(A): b"),
    "a name with a quote": request(b'"A": b'),
    "a name with a slash": request(b"A/B: c"),
    "a NUL in a name": request(b"A\x00: b"),
    "an underscore in a name": request(b"Content_Length: 5"),
    "an underscore in metadata": request(b"x-amz-meta-a_b: c"),
    # folding
    "a folded value": request(b"A: b", b" c"),
    "a folded value by a tab": request(b"A: b", b"\tc"),
    "a first header that is folded": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a folded coding": request(b"Transfer-Encoding:", b" chunked"),
    "a line of white space": request(b" "),
    # values
    "a NUL in a value": request(b"A: b\x00c"),
    "a BEL in a value": request(b"A: b\x07c"),
    "an ESC in a value": request(b"A: \x1b[0m"),
    "a vertical tab in a value": request(b"A: b\x0bc"),
    "a form feed in a value": request(b"A: b\x0cc"),
    "a DEL in a value": request(b"A: b\x7fc"),
    # Host
    "no Host": request(host=None),
    "two Hosts": request(b"Host: x"),
    "two different Hosts": request(b"host: y"),
    "a Host with a path": request(host=b"Host: x/y"),
    "a Host with a user": request(host=b"Host: u@x"),
    "a Host with a space": request(host=b"Host: x y"),
    "a list of Hosts": request(host=b"Host: x, y"),
    "a port that is none": request(host=b"Host: x:y"),
    "a port of six digits": request(host=b"Host: x:123456"),
    "an open bracket": request(host=b"Host: [::1"),
    # Content-Length
    "a length with a plus": request(b"Content-Length: +5"),
    "a length with a minus": request(b"Content-Length: -5"),
    "a length in hexadecimal": request(b"Content-Length: 0x5"),
    "a length with an underscore": request(b"Content-Length: 1_0"),
    "a length with a point": request(b"Content-Length: 5.0"),
    "a length with an exponent": request(b"Content-Length: 1e1"),
    "a length in quotes": request(b'Content-Length: "5"'),
    "an empty length": request(b"Content-Length:"),
    "a length of words": request(b"Content-Length: five"),
    "a length in another script": request("Content-Length: ٥".encode()),
    "a length with a hard space": request(b"Content-Length: \xa05"),
    "a length of 19 digits": request(b"Content-Length: 1000000000000000000"),
    "a list of one length": request(b"Content-Length: 5,"),
    "a list of equal lengths": request(b"Content-Length: 5, 5"),
    "two digits apart": request(b"Content-Length: 5 5"),
    "two equal lengths": request(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths": request(b"Content-Length: 5", b"content-length: 6"),
    # Transfer-Encoding
    "a length beside chunks": request(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunks beside a length": request(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "no coding": request(b"Transfer-Encoding:"),
    "identity": request(b"Transfer-Encoding: identity"),
    "gzip": request(b"Transfer-Encoding: gzip"),
    "gzip, chunked": request(b"Transfer-Encoding: gzip, chunked"),
    "chunked, gzip": request(b"Transfer-Encoding: chunked, gzip"),
    "chunked, identity": request(b"Transfer-Encoding: chunked, identity"),
    "chunked twice in a line": request(b"Transfer-Encoding: chunked, chunked"),
    "chunked in two lines": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "identity, then chunked": request(b"Transfer-Encoding: identity", b"transfer-encoding: chunked"),
    "xchunked": request(b"Transfer-Encoding: xchunked"),
    "chunkedx": request(b"Transfer-Encoding: chunkedx"),
    "chunk": request(b"Transfer-Encoding: chunk"),
    "chunked in quotes": request(b'Transfer-Encoding: "chunked"'),
    "chunked with a parameter": request(b"Transfer-Encoding: chunked;q=1"),
    "chunked with a comma": request(b"Transfer-Encoding: chunked,"),
    "a comma, chunked": request(b"Transfer-Encoding: ,chunked"),
    "chunked behind a vertical tab": request(b"Transfer-Encoding: \x0bchunked"),
    "chunked before a NUL": request(b"Transfer-Encoding: chunked\x00"),
    "chunked behind a hard space": request(b"Transfer-Encoding: \xa0chunked"),
    "a space behind the coding's name": request(b"Transfer-Encoding : chunked"),
    "chunks by HTTP/1.0": request(b"Transfer-Encoding: chunked", first=b"PUT / HTTP/1.0"),
    # the rest
    "an expectation nobody can meet": request(b"Expect: 200-ok"),
    "two types": request(b"Content-Type: a/b", b"Content-Type: a/c"),
    "two identities": request(b"Authorization: a", b"Authorization: b"),
    "101 headers": request(*[b"A%d: b" % number for number in range(100)]),
    "a header of 9 KiB": request(b"A: " + b"b" * 9216),
    "a request line of 9 KiB": request(first=b"GET /" + b"a" * 9216 + b" HTTP/1.1"),
    "a head of 65 KiB": request(*[b"A%d: " % number + b"b" * 1024 for number in range(65)]),
    "an unknown method": request(first=b"TELEPORT / HTTP/1.1"),
    "a proxy's line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
STATUS = {
    "HTTP/0.9": "505",
    "HTTP/2.0": "505",
    "HTTP/1.2": "505",
    "the preface of HTTP/2": "505",
    "a request line of 9 KiB": "414",
    "a header of 9 KiB": "431",
    "a head of 65 KiB": "431",
    "101 headers": "431",
    "an unknown method": "501",
    "an expectation nobody can meet": "417",
}


@pytest.mark.parametrize("name", BARE)
def test_a_head_that_could_be_read_in_two_ways_is_refused(name):
    with pytest.raises(Refused) as refused:
        plan(BARE[name])
    assert refused.value.status.split(" ")[0] == STATUS.get(name, "400")


GOOD = {
    "the least": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (0, True, False)),
    "HTTP/1.0 without a Host": (b"GET / HTTP/1.0\r\n\r\n", (0, False, False)),
    "HTTP/1.0 that stays": (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", (0, True, False)),
    "an empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", (0, True, False)),
    "an IPv6 Host": (request(host=b"Host: [::1]:8080"), (0, True, False)),
    "a length": (request(b"Content-Length: 5"), (5, True, False)),
    "a length with zeros": (request(b"Content-Length: 0005"), (5, True, False)),
    "chunks": (request(b"Transfer-Encoding: chunked"), (None, True, False)),
    "chunks in capitals, white space before": (request(b"tRANSFER-eNCODING: \t CHUNKED"), (None, True, False)),
    "the last request": (request(b"Connection: a, Close"), (0, False, False)),
    "a client that waits": (request(b"Content-Length: 5", b"Expect: 100-Continue"), (5, True, True)),
    "HTTP/1.0 does not wait": (b"PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", (5, False, False)),
    "an upgrade nobody offered": (request(b"Connection: Upgrade", b"Upgrade: h2c"), (0, True, False)),
    "an absolute target": (request(first=b"GET http://X/a HTTP/1.1"), (0, True, False)),
    "the options of the server": (request(first=b"OPTIONS * HTTP/1.1"), (0, True, False)),
    "100 headers": (request(*[b"A%d: b" % number for number in range(99)]), (0, True, False)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_head_says_what_follows(name):
    head, expected = GOOD[name]
    assert tuple(plan(head)[0]) == expected


def test_targets_and_headers_are_handed_on_as_sent():
    _, environ = plan(
        request(b"X-Amz-Meta-a: caf\xc3\xa9 \t", b"x-amz-meta-a:\tb", b"Empty:", first=b"GET //films/a%2Fb%20c?x=%20&y HTTP/1.1")
    )
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "//films/a%2Fb%20c?x=%20&y"
    assert (environ["RAW_PATH_INFO"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("//films/a%2Fb%20c", "//films/a/b c", "x=%20&y")
    assert environ["HTTP_X_AMZ_META_A"] == "caf\xc3\xa9,b"
    assert environ["HTTP_EMPTY"] == ""
    assert "CONTENT_TYPE" not in environ


def test_a_line_that_is_remembered_is_read_as_it_was_the_first_time():
    head = request(b"User-Agent:  a b \t", b"user-agent: c", b"X-Amz-Date:\t20261120T120000Z", b"x-amz-meta-a: 1")
    first, again = plan(head), plan(head)
    assert first == again
    assert first[1]["HTTP_USER_AGENT"] == "a b,c"
    with pytest.raises(Refused):
        plan(request(b"Host: x"))
    for _ in range(2):
        with pytest.raises(Refused):
            plan(request(b"Host: a b", host=None))


def test_what_is_remembered_of_headers_has_an_end_and_no_secrets():
    for number in range(5000):
        plan(request(b"User-Agent: %d" % number, b"X-%d: a" % number))
    plan(request(b"Content-Type: " + b"x" * 1000, b"X-Amz-Server-Side-Encryption-Customer-Key: secret", b"Authorization: AWS a:b"))
    assert max(len(grammar._LINES), len(grammar._NAMES)) <= grammar._KNOWN
    assert {variable for variable, _ in grammar._LINES.values()} <= grammar._REPEATED
    assert max(map(len, grammar._LINES)) <= grammar._LONG
    assert "AUTHORIZATION" not in "".join(grammar._REPEATED)


@pytest.mark.parametrize(
    ("target", "path"), [(b"http://x", "/"), (b"http://x?a", "/"), (b"https://x/a%20b?c", "/a b"), (b"http://x//a", "//a")]
)
def test_an_absolute_target_leads_to_its_path(target, path):
    assert plan(request(first=b"GET " + target + b" HTTP/1.1"))[1]["PATH_INFO"] == path


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"\x16\x03\x01", "400"),
        (b"GET / HTTP/1.1\nHost", "400"),
        (b"GET / HTTP/1.1\r\nA: \x00", "400"),
        (b"GET / HTTP/1.1\rA", "400"),
        (b"GET /" + b"a" * 9000, "414"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", "414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 12000, "431"),
    ],
)
def test_a_head_is_refused_before_its_end_where_nothing_could_mend_it(begun, status):
    assert grammar.doubtful(begun, 0, LIMITS).status.startswith(status)


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nA: b\r\n\r"])
def test_the_beginning_of_a_sound_head_is_waited_for(begun):
    assert grammar.doubtful(begun, 0, LIMITS) is None


@pytest.mark.parametrize(("line", "size"), [(b"0", 0), (b"000", 0), (b"1F", 31), (b"5;a", 5), (b'5; a=b;c="d\\"e;"', 5)])
def test_a_chunk_says_its_size(line, size):
    assert grammar.chunk(line) == size


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" 5",
        b"5 ",
        b"+5",
        b"-5",
        b"0x5",
        b"5_0",
        b"g",
        b"5\t",
        b"5 ;a",
        b"5;",
        b"5;a\n",
        b"5;a=\x00",
        b'5;a="b',
        b"\xd9\xa5",
        b"1000000000000000",
        b"5,5",
        b"5\r",
        b"5;a b",
    ],
)
def test_a_chunk_whose_size_could_be_two_is_refused(line):
    with pytest.raises(ValueError):
        grammar.chunk(line)


@pytest.mark.parametrize(
    "line", [b"Content-Length: 5", b"transfer-encoding: chunked", b"HOST: x", b"a", b"a b: c", b"a: b\x00", b" a: b", b"a_b: c"]
)
def test_what_belongs_into_the_head_is_no_trailer(line):
    with pytest.raises(ValueError):
        grammar.trailer(line)
    assert grammar.trailer(b"x-amz-checksum-crc32: \tAAAA== ") == ("x-amz-checksum-crc32", "AAAA==")


def shape(head):
    """What a slow reader of RFC 9112 finds in a head; None when it is none."""
    lines = head.split(b"\r\n")
    if lines[-2:] != [b"", b""] or b"" in lines[:-2] or re.search(rb"[\r\n]", b"".join(lines)):
        return None
    first = re.fullmatch(rb"([!#$%&'*+.^_`|~\w-]+) (\S+) HTTP/1\.[01]", lines[0], re.ASCII)
    fields = [re.fullmatch(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)", line) for line in lines[1:-2]]
    if first is None or not all(fields):
        return None
    return [(found[1].lower(), found[2].strip(b" \t")) for found in fields]


class Heard:
    """What llhttp finds in a head."""

    def __init__(self, head):
        self.target, self.fields = b"", []
        with suppress(HttpParserUpgrade):
            HttpRequestParser(self).feed_data(head)

    def on_url(self, target):
        self.target += target

    def on_header(self, name, value):
        self.fields.append((name.lower(), value.strip(b" \t")))


def variables(fields):
    """Headers as WSGI wants them."""
    made = {}
    for name, value in fields:
        variable = name.decode().upper().replace("-", "_")
        variable = variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"
        made[variable] = f"{made[variable]},{value.decode('latin-1')}" if variable in made else value.decode("latin-1")
    return made


def judged(head):
    """A head is refused, or read as a slow reader and llhttp would read it: same target, same fields, and one length."""
    try:
        found, environ = plan(head)
    except Refused:
        return False
    fields = shape(head)
    assert fields is not None
    heard = Heard(head)
    assert heard.fields == fields
    assert heard.target.decode() == environ["RAW_URI"]
    assert {name: environ[name] for name in environ if name.startswith(("HTTP_", "CONTENT_"))} == variables(fields)
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    assert len(lengths) + len(codings) <= 1
    assert found.length == (None if codings else int(lengths[0]) if lengths else 0)
    assert codings in ([], [codings[0]] if codings and codings[0].lower() == b"chunked" else [])
    return True


PARTS = st.sampled_from(
    [
        b"GET",
        b"PUT",
        b" ",
        b"/",
        b"/a",
        b"*",
        b"http://x/",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b":",
        b": ",
        b"\t",
        b"Host",
        b"x",
        b"Content-Length",
        b"Transfer-Encoding",
        b"chunked",
        b"5",
        b"0",
        b",",
        b"_",
        b"\x00",
        b"\x0b",
        b"\x85",
        b"\xa0",
        b"Connection",
        b"close",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PARTS | st.binary(max_size=3), max_size=40).map(b"".join))
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
def test_any_bytes_are_read_as_a_slow_reader_would_or_refused(data):
    judged(data)
    judged(b"GET / HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n\r\n")


def mutated(chance, data):
    """A head with a few bytes changed, dropped, doubled or put in from elsewhere."""
    made = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(made) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            made[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del made[place : place + chance.randrange(1, 4)]
        elif kind == 2:
            made[place:place] = made[place : place + chance.randrange(1, 12)]
        else:
            made[place:place] = chance.choice(
                (b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\x00", b"Content-Length: 3\r\n", b"chunked")
            )
    return bytes(made)


SEEDS = 8 * [head for head, _ in GOOD.values()] + [head for head in BARE.values() if len(head) < 400]


def fuzz(count, seed):
    chance = random.Random(seed)
    return sum(judged(mutated(chance, chance.choice(SEEDS))) for _ in range(count))


def test_twenty_thousand_mutated_heads_are_refused_or_read_in_the_one_way():
    assert 1000 < fuzz(20_000, 1) < 20_000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_mutated_heads_are_refused_or_read_in_the_one_way():
    assert fuzz(1_000_000, 2) > 50_000


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 8000 + b" ", b"A" * 8000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 90 + b"A" * 7000])
def test_no_head_takes_long_to_refuse(head, wall):
    begun = wall.monotonic()
    for _ in range(20):
        with pytest.raises(Refused):
            plan(head + b"\r\n\r\n")
    assert wall.monotonic() - begun < 1
