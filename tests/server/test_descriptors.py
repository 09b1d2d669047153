import resource

import pytest

from s3shunt.server import descriptors


@pytest.fixture
def limit():
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield kept
    resource.setrlimit(resource.RLIMIT_NOFILE, kept)


def test_a_process_takes_all_the_descriptors_it_may_have(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limit[1]))
    descriptors.prepare(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limit[1], limit[1])
    assert descriptors.most() == (None if limit[1] == resource.RLIM_INFINITY else limit[1])


def test_clients_that_do_not_fit_are_told_of(limit, caplog):
    if limit[1] == resource.RLIM_INFINITY:
        pytest.skip("there is no limit here")
    descriptors.prepare(limit[1] // descriptors.EACH)
    assert not caplog.records
    descriptors.prepare(limit[1])
    assert f"a process may have {limit[1]}" in caplog.text


@pytest.mark.parametrize(("clients", "most", "fits"), [(1000, 2000, True), (1000, 1999, False), (1, 1, False), (10**9, None, True)])
def test_each_client_may_need_one_to_the_store(clients, most, fits):
    assert (not descriptors.shortage(clients, most)) == fits
