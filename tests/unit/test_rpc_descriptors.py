"""Files that a process may have open are shared between connections and handshakes, also where they are few."""

import pytest

from bohb_service.errors import TransportError
from bohb_service.rpc.daemon import share_descriptors


@pytest.mark.parametrize(
    ("limit", "connections", "handshakes"),
    [(768, 320, 320), (1024, 448, 448), (4096, 2688, 1280), (65536, 16384, 1280)],
)
def test_both_get_a_share(limit, connections, handshakes):
    assert share_descriptors(limit) == (connections, handshakes)
    assert connections + handshakes < limit


def test_too_few_are_told():
    with pytest.raises(
        TransportError, match="may have only 767 files open, too few to serve workers; allow at least 768"
    ):
        share_descriptors(767)
