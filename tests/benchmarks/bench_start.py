"""How soon the commands answer, and what a worker's parent process weighs.

OMP_NUM_THREADS=1 python tests/benchmarks/bench_start.py
"""

import os
import platform
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil

from bohb_service.api.study_run import StudyRun
from bohb_service.study import parse_study

SCRIPTS = Path(sysconfig.get_path("scripts"))
OBJECTIVES = Path(__file__).parent.parent / "objectives.py"


def seconds_of(*command: str | Path) -> float:
    """Median wall time of a command over nine runs."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def parent_mib() -> float:
    """Resident memory of a worker's parent process after some hundred jobs, in MiB."""
    study = {
        "name": "weight",
        "worker": f"{OBJECTIVES}:NoOp",
        "fidelity": {"min": 1, "max": 81},
        "stop": {"brackets": 10_000},
    }
    with tempfile.TemporaryDirectory() as folder:
        parsed = parse_study(study, base=Path(folder), source="bench")
        with StudyRun(parsed, Path(folder) / "run", workers=1) as run:
            while run.status()["evaluations"]["completed"] < 500:
                run.wait(0.1)
            (worker,) = run.status()["workers"]
            return psutil.Process(worker["pid"]).memory_info().rss / 2**20


def main() -> None:
    """Measure and print."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in ("bohb-master", "bohb-worker"):
        print(f"{name} --help: {seconds_of(SCRIPTS / name, '--help'):.3f} s")
    print(f"parent process of a worker after 500 jobs: {parent_mib():.1f} MiB")


if __name__ == "__main__":
    main()
