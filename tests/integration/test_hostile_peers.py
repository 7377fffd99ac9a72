"""A real master while hostile peers are at it: a well-behaved fleet goes on, memory stays, refusals are counted.

The bounds leave room for a busy machine; `tests/benchmarks/bench_hostile.py` prints what is measured.
"""

import pytest

from bohb_service.rpc.loop import HANDSHAKE_SECONDS
from bohb_service.rpc.pyro import raise_descriptor_limit
from bohb_service.rpc.refusals import LOG_INTERVAL_S
from tests.hostile.attacks import ATTACKS, BEYOND_BOUNDS, REFUSALS
from tests.hostile.fuzz import fuzzed_frames
from tests.hostile.scene import as_line, at_work
from tests.peers import Service, is_closed, open_socket, serving, status_of
from tests.polling import wait_until

pytestmark = pytest.mark.slow

MOST_SLOW_DOWN = 20.0
"""Ten times what is promised."""

MOST_GROWTH = 50 << 20


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    raise_descriptor_limit()
    with at_work(tmp_path_factory.mktemp("hostile")) as scene:
        yield scene


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in BEYOND_BOUNDS])
def test_the_fleet_goes_on(scene, name):
    damage = scene.suffer(ATTACKS[name])
    print(as_line(name, damage))
    assert damage.slow_down < MOST_SLOW_DOWN
    assert damage.during.failures == 0
    assert damage.during.jobs > 0
    assert damage.jump_bytes < MOST_GROWTH
    # Peers of attacks before may be refused late, so that there can be other reasons too.
    assert damage.log_lines <= len(damage.refused) * (1 + damage.seconds // LOG_INTERVAL_S)
    if name in REFUSALS:
        assert damage.refused.get(REFUSALS[name], 0) >= 1


def test_silent_peers_are_gone_in_the_end(scene):
    wait_until(lambda: scene.status()["connections"] <= 10, 4 * HANDSHAKE_SECONDS)
    assert scene.suffer(lambda *_: None).grown_bytes < MOST_GROWTH
    assert scene.status()["security"] == "tls"


def test_fuzzed_frames_without_credentials():
    service = Service()
    with serving(service) as master:
        for frame in fuzzed_frames(4, 3000):
            with open_socket(master) as sock:
                sock.sendall(frame)
                sock.shutdown(1)
                assert is_closed(sock)
        assert not service.failed
        assert sum(status_of(master)["refused"].values()) > 1000
