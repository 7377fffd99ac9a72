import pytest

from tests.network.cluster import Cluster
from tests.network.hosts import Network, obstacle


@pytest.fixture
def network():
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    with Network.create() as made:
        yield made


@pytest.fixture
def cluster(network, run_cli, tmp_path):
    return Cluster(network, run_cli, tmp_path)
