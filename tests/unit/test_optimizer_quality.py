"""The model must matter: counting ones with few seeds, through the script that prints the published table."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "counting_ones.py"


@pytest.mark.slow
def test_bohb_beats_hyperband_and_only_because_of_its_model():
    arguments = ["--categorical", "4", "--continuous", "4", "--seeds", "12", "--full-budgets", "20"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("±") for line in done.stdout.splitlines()[1:]]
    # The mean at the last checkpoint stands before the last deviation.
    bohb, hyperband, random, told_noise = (float(row[-2].split()[-1]) for row in rows)

    assert bohb < 0.5 * hyperband
    assert hyperband < 0.8 * random
    assert 0.7 * hyperband < told_noise < 1.4 * hyperband
