"""How a master and its fleet bear hostile peers: a table of attacks.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_hostile.py [NAME ...]

A real `bohb-master run --credentials` and eight light workers over TLS; each attack goes on for a while. Columns: how
many times slower the fleet's exchanges came than right before (pauses of 10 ms between them), how many times longer
they took, their mean and longest time in ms, those that failed, the master's memory at most above its level before all
attacks in MB, peers refused, lines logged for them.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bohb_service.rpc.pyro import raise_descriptor_limit
from tests.hostile.catalogue import ATTACKS
from tests.hostile.scene import HEADER, as_line, at_work


def main() -> None:
    """Measure and print the table."""
    names = sys.argv[1:] or list(ATTACKS)
    raise_descriptor_limit()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder, at_work(Path(folder)) as scene:
        peace = scene.peace
        print(
            f"in peace: {peace.rate:.0f} exchanges/s, mean {1e3 * peace.latency_s:.2f} ms, {scene.level / 2**20:.0f} MB"
        )
        print(HEADER)
        for name in names:
            print(as_line(name, scene.suffer(ATTACKS[name])), flush=True)
        print(as_line("afterwards", scene.suffer(lambda _, __: None)))


if __name__ == "__main__":
    main()
