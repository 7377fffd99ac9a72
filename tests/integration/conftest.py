"""What several of these tests stand on: a master without network, and a server with a service that the test plays."""

import pytest

from tests.house import houses
from tests.intruders import make_keys
from tests.peers import Service, serving


@pytest.fixture
def house():
    """Makes masters."""
    with houses() as make:
        yield make


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def server(service):
    """In clear, on loopback."""
    with serving(service) as server:
        yield server


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Credentials of every kind, wrong ones too."""
    return make_keys(tmp_path_factory.mktemp("keys"))
