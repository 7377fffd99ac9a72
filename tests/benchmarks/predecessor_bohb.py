"""The same study with the predecessor: run by `bench_processes.py` with a Python that has hpbandster 0.7.4.

Prints one JSON line. Arguments: number of workers, brackets, seconds of sleep per unit of budget.
"""

import json
import logging
import multiprocessing
import os
import sys
import time

import ConfigSpace
import hpbandster.core.nameserver as hpns
from hpbandster.core.worker import Worker
from hpbandster.optimizers import BOHB


class Objective(Worker):
    """Two floats; the loss is their squared distance from a point; it sleeps as told."""

    per_unit = 0.0

    def compute(self, config_id, config, budget, working_directory, **kwargs):
        """Sleep, then answer at once."""
        if self.per_unit:
            time.sleep(self.per_unit * budget)
        return {"loss": (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2, "info": {}}


def _work(run_id, port, number, per_unit):
    Objective.per_unit = per_unit
    worker = Objective(nameserver="127.0.0.1", nameserver_port=port, run_id=run_id, id=number)
    worker.run(background=False)


def main():
    """Run the study and print its times."""
    workers, brackets, per_unit = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    logging.disable(logging.CRITICAL)
    run_id = f"bench-{os.getpid()}"
    server = hpns.NameServer(run_id=run_id, host="127.0.0.1", port=0)
    _, port = server.start()
    processes = [
        multiprocessing.get_context("fork").Process(target=_work, args=(run_id, port, number, per_unit), daemon=True)
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    space = ConfigSpace.ConfigurationSpace(seed=1)
    for name in ("x", "y"):
        space.add_hyperparameter(ConfigSpace.UniformFloatHyperparameter(name, 0, 1))
    master = BOHB(
        configspace=space,
        run_id=run_id,
        nameserver="127.0.0.1",
        nameserver_port=port,
        min_budget=1,
        max_budget=81,
        eta=3,
        ping_interval=2,
    )
    result = master.run(n_iterations=brackets, min_n_workers=workers)
    runs = result.get_all_runs()
    began = min(run.time_stamps["started"] for run in runs)
    wall = max(run.time_stamps["finished"] for run in runs) - began
    useful = per_unit * sum(run.budget for run in runs)
    print(json.dumps({"jobs": len(runs), "wall_s": wall, "useful_s": useful}), flush=True)
    for process in processes:
        process.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
