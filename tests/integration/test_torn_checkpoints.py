"""Checkpoints whose writer is killed at random moments."""

import hashlib
import random
import subprocess
import sys
import time

from bohb_service.worker.checkpoint import CheckpointFile

N_KILLS = 60
N_BYTES = 4 << 20

WRITER = """
import hashlib, itertools, sys
from pathlib import Path
from bohb_service.worker.checkpoint import CheckpointFile

folder, attempt, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
file = CheckpointFile(folder, "mark", attempt)
before = file.load(1e9)
for spent in itertools.count(int(before.spent) + 1 if before else 1):
    file.save(hashlib.sha256(b"%d" % spent).digest() * (size // 32), spent)
    print(spent, flush=True)
"""


def test_no_checkpoint_that_was_torn_by_a_kill_is_read_as_good(tmp_path):
    """Sixty writers, each killed at a random moment: the last one that was told to be safe is there, or a later one."""
    draw = random.Random(6)
    folder, safe, n_torn = tmp_path / "0", 0, 0
    for attempt in range(N_KILLS):
        command = [sys.executable, "-c", WRITER, folder, str(attempt), str(N_BYTES)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            told = [writer.stdout.readline()]
            time.sleep(draw.uniform(0.0, 0.03))
            writer.kill()
            told += writer.stdout.readlines()
        safe = max([safe, *(int(line) for line in told if line.endswith(b"\n"))])
        n_torn += (folder / f".checkpoint.{attempt}").exists()
        found = CheckpointFile(folder, "mark", N_KILLS).load(1e9)
        assert found is not None
        assert safe <= found.spent <= safe + 1
        content = hashlib.sha256(b"%d" % found.spent).digest() * (N_BYTES // 32)
        assert found.content == content
        safe = int(found.spent)
    assert n_torn > N_KILLS // 10, "hardly any kill came in the middle of a write"
    assert sum(path.name.startswith(".checkpoint.") for path in folder.iterdir()) <= 1
