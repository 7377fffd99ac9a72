"""Full BOHB through real processes: how many no-op jobs a second, and how busy workers are kept.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_processes.py [--predecessor PYTHON]

PYTHON is an interpreter that has hpbandster 0.7.4 (with numpy<2 and ConfigSpace 0.7.1); with it both are measured in
turn in the same run, and ratios are printed. Every run is a whole `StudyRun`: name server, master with a journal on
disk, `bohb-worker` processes with their objective processes. Times are taken from the journal: from the first lease to
the last result; useful time is what the objectives slept.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bohb_service.api.study_run import StudyRun
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.scheduler.events import TrialCompleted, TrialLeased
from bohb_service.study import parse_study

HERE = Path(__file__).parent
OBJECTIVES = HERE.parent / "objectives.py"


def ours(workers: int, brackets: int, per_unit: float) -> dict[str, float]:
    """One study of ours: number of jobs, wall and useful seconds, CPU seconds of the master."""
    study = parse_study(
        {
            "name": "bench",
            "worker": f"{OBJECTIVES}:{'Quadratic' if per_unit else 'NoOp'}",
            "worker_options": {"sleep_per_unit": per_unit} if per_unit else {},
            "fidelity": {"min": 1, "max": 81},
            "method": {"name": "bohb", "eta": 3, "sizes": "hpbandster"},
            "stop": {"brackets": brackets},
        },
        base=Path.cwd(),
        source="bench",
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        before = os.times()
        with StudyRun(study, directory, workers=workers, min_workers=workers) as run:
            while not run.wait(0.25):
                pass
            after = os.times()
        journal = SqliteJournal.open(directory / "journal.sqlite", read_only=True)
        records = list(journal.read())
        journal.close()
    leases = [record for record in records if isinstance(record.event, TrialLeased) and record.event.bracket >= 0]
    done = [record for record in records if isinstance(record.event, TrialCompleted) and record.event.trial.rung >= 0]
    return {
        "jobs": len(done),
        "wall_s": done[-1].at - leases[0].at,
        "useful_s": per_unit * sum(record.event.budget for record in leases),
        "master_cpu_s": after.user + after.system - before.user - before.system,
    }


def theirs(python: str, workers: int, brackets: int, per_unit: float) -> dict[str, float]:
    """The same study with the predecessor."""
    script = str(HERE / "predecessor_bohb.py")
    output = subprocess.run(
        [python, script, str(workers), str(brackets), str(per_unit)], capture_output=True, text=True, check=True
    )
    return json.loads(output.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predecessor", help="Python that has hpbandster 0.7.4")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("no-op objective, full BOHB, budgets 1..81, eta 3, 20 brackets, 8 workers")
    rates, ratios = [], []
    for _ in range(arguments.repeats):
        own = ours(8, 20, 0.0)
        rates.append(own["jobs"] / own["wall_s"])
        line = f"  ours {rates[-1]:7.0f} jobs/s, master CPU {1e3 * own['master_cpu_s'] / own['jobs']:.2f} ms a job"
        if arguments.predecessor:
            other = theirs(arguments.predecessor, 8, 5, 0.0)
            ratios.append(rates[-1] * other["wall_s"] / other["jobs"])
            line += f"; predecessor {other['jobs'] / other['wall_s']:5.0f} jobs/s; ratio {ratios[-1]:.1f}"
        print(line, flush=True)
    print(f"  median {statistics.median(rates):.0f} jobs/s", end="")
    print(f", {statistics.median(ratios):.1f} times the predecessor" if ratios else "")
    for workers in (16, 32):
        print(f"jobs of 0.01 s per unit of budget (1..81), 50 brackets, {workers} workers")
        for _ in range(arguments.repeats):
            own = ours(workers, 50, 0.01)
            line = f"  ours: useful/wall {own['useful_s'] / own['wall_s']:5.1f} ({own['wall_s']:.2f} s)"
            if arguments.predecessor:
                other = theirs(arguments.predecessor, workers, 10, 0.01)
                line += f"; predecessor (10 brackets) {other['useful_s'] / other['wall_s']:.1f}"
            print(line, flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
