"""What a parent hands down reaches the code that takes its place. With processes: ``test_family``."""

import os

from s3shunt.server import descent


def test_children_and_the_pipe_reach_the_new_code_and_nobody_after_it():
    environ = {"OTHER": "x"}
    pipe = os.pipe()
    descent.hand_down(environ, {10: 0, 11: 1}, pipe)
    assert [os.get_inheritable(number) for number in pipe] == [True, True]
    assert descent.take(environ) == ({10: 0, 11: 1}, pipe)
    assert [os.get_inheritable(number) for number in pipe] == [False, False]
    assert environ == {"OTHER": "x"}
    for number in pipe:
        os.close(number)


def test_the_first_of_its_line_has_no_children_and_a_pipe_of_its_own():
    children, pipe = descent.take({})
    assert children == {}
    os.write(pipe[1], b"x")
    assert os.read(pipe[0], 1) == b"x"
    for number in pipe:
        os.close(number)
