import pytest

from tests.slurm.cluster import Slurm, obstacle


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    with Slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
