"""Answers: checked, framed, and never a part for the whole."""

import io

import pytest

from s3shunt.server.answer import Answer, FileWrapper, Unfit, refusal

DATE = b"Date: D\r\n"


class Wire:
    def __init__(self):
        self.sent = []

    def send(self, data):
        self.sent.append(bytes(data))

    def send_file(self, number, offset, count):
        import os

        data = os.pread(number, count, offset)
        self.sent.append(data)
        return len(data)


def answer(body, *headers, status="200 OK", modern=True, head=False, keep=True, last=False):
    wire = Wire()
    made = Answer(wire, DATE, modern=modern, head=head, keep=keep, last=lambda: last)
    made.start(status, list(headers))
    made.send(body)
    return made, wire.sent


def text(body, *headers, **how):
    return b"".join(answer(body, *headers, **how)[1])


def test_a_small_answer_leaves_in_one_piece():
    _, sent = answer([b"a", b"b"], ("Content-Length", "2"), ("ETag", '"x"'))
    assert sent == [b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "x"\r\nDate: D\r\n\r\nab']


def test_a_small_answer_of_a_generator_does_too():
    assert answer(iter([b"ab"]), ("Content-Length", "2"))[1] == [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: D\r\n\r\nab"]


def test_a_large_piece_is_not_copied_behind_its_head():
    _, sent = answer(iter([b"x" * 100_000]), ("Content-Length", "100000"))
    assert [len(data) for data in sent][1:] == [100_000]
    assert [len(data) for data in answer([b"x" * 100_000])[1]][1:] == [100_000]


def test_a_length_that_was_not_said_is_said_where_it_is_known():
    assert b"Content-Length: 2\r\n" in text([b"ab"])
    assert b"Content-Length: 0\r\n" in text([])
    assert b"Content-Length: 0\r\n" in text(iter([]))


def test_a_body_of_unknown_length_is_sent_in_chunks():
    assert text(iter([b"ab", b"", b"c" * 17])).endswith(
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"
    )


def test_or_up_to_the_end_of_the_connection_for_an_old_client():
    made, sent = answer(iter([b"ab"]), modern=False)
    assert not made.keep
    assert not made.framed
    assert b"".join(sent).endswith(b"Connection: close\r\n\r\nab")
    assert b"Connection: keep-alive" in text([b"ab"], modern=False)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_gets_none(status):
    sent = text([b"ab"], ("Content-Length", "2"), status=status)
    assert sent.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 2" in sent) == status.startswith("304")
    assert b"Transfer-Encoding" not in text(iter([b"ab"]), status=status)


def test_the_answer_to_head_keeps_its_length_and_has_no_body():
    assert text([b"ab"], ("Content-Length", "1000"), head=True).endswith(b"Content-Length: 1000\r\nDate: D\r\n\r\n")
    assert text(iter([b"ab"]), ("Content-Length", "1000"), head=True).endswith(b"\r\n\r\n")
    assert b"Content-Length" not in text([], head=True)


def test_a_date_and_a_connection_are_said_once():
    sent = text([b""], ("Date", "then"), ("Connection", "close"), ("Keep-Alive", "x"), ("Transfer-Encoding", "chunked"))
    assert sent == b"HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert b"Connection: close" in text([], last=True)


@pytest.mark.parametrize("body", [[b"a"], [b"abc"], [], iter([b"a"]), iter([b"a", b"bc"]), iter([])], ids=range(6))
def test_a_body_of_another_length_than_announced_is_no_answer(body):
    with pytest.raises(Unfit):
        answer(body, ("Content-Length", "2"))


def test_what_is_too_much_is_never_sent():
    wire = Wire()
    made = Answer(wire, DATE, modern=True, head=False, keep=True, last=lambda: False)
    write = made.start("200 OK", [("Content-Length", "2")])
    write(b"ab")
    with pytest.raises(Unfit):
        write(b"c")
    assert b"".join(wire.sent).endswith(b"\r\n\r\nab")


@pytest.mark.parametrize(
    "header",
    [
        ("A", "b\r\nSet-Cookie: c"), ("A", "b\nc"), ("A", "b\rc"), ("A", "b\r\n\r\nHTTP/1.1 200 OK"), ("A", "\x00"), ("A", "\x7f"),
        ("A", "\u20ac"), ("A b", "c"), ("A:", "b"), ("", "b"), ("A\r\nB", "c"), ("\u00e9", "b"),
        ("Content-Length", "two"), ("Content-Length", "-1"), ("Content-Length", "+2"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_written_is_not(header):
    with pytest.raises(Unfit):
        answer([b"ab"], header)


@pytest.mark.parametrize("status", ["200 OK\r\nA: b", "99 x", "100 Continue", "1000 x", "OK", "200\n", "200 \u20ac"])
def test_a_status_that_is_none_is_not_written(status):
    with pytest.raises(Unfit):
        answer([b""], status=status)


def test_two_lengths_are_no_answer_unless_they_are_equal():
    with pytest.raises(Unfit):
        answer([b"ab"], ("Content-Length", "2"), ("content-length", "3"))
    assert text([b"ab"], ("Content-Length", "2"), ("content-length", "2")).lower().count(b"content-length") == 1


def test_a_header_may_be_latin_1():
    assert b"A: caf\xe9\r\n" in text([], ("A", "caf\xe9"))


def test_start_response_may_be_called_again_only_with_an_error():
    made = Answer(Wire(), DATE, modern=True, head=False, keep=True, last=lambda: False)
    with pytest.raises(Unfit):
        made.send([b""])
    made.start("200 OK", [])
    with pytest.raises(Unfit):
        made.start("200 OK", [])
    error = ValueError()
    made.start("500 X", [], (ValueError, error, None))
    made.send([b""])
    assert b"".join(made.wire.sent).startswith(b"HTTP/1.1 500 X")
    with pytest.raises(ValueError):
        made.start("200 OK", [], (ValueError, error, None))


def test_a_file_is_sent_from_where_it_stands(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    with (tmp_path / "a").open("rb") as file:
        file.seek(3)
        assert text(FileWrapper(file), ("Content-Length", "4")).endswith(b"\r\n\r\n3456")
        with pytest.raises(Unfit):
            answer(FileWrapper(file), ("Content-Length", "8"))
        assert text(FileWrapper(file), ("Content-Length", "4"), head=True).endswith(b"\r\n\r\n")
    wrapped = FileWrapper(io.BytesIO(b"ab"), 1)
    assert text(wrapped, ("Content-Length", "2")).endswith(b"\r\n\r\nab")
    wrapped.close()
    assert wrapped.file.closed


def test_a_refusal_is_a_whole_answer():
    sent = refusal("400 Bad Request", "BadRequest", "a < b", DATE)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"<Message>a &lt; b</Message>" in body
    assert b"Connection: close" in head
