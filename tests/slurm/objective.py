"""An objective that takes its time, keeps what it has done, and writes down where it did it."""

import os
import time
from pathlib import Path

from bohb_service.worker.base import Worker


class Steps(Worker):
    """A unit of budget is a step; those that were done are not done again.

    Options: ``folder`` of the log with a line ``configuration step node device process`` for each step, ``seconds``
    of a step.
    """

    @staticmethod
    def configuration_space(**_options):
        from ConfigSpace import ConfigurationSpace

        return ConfigurationSpace({"x": (0.0, 1.0)})

    def compute(self, config, budget, context):
        kept = context.load()
        done = 0 if kept is None else int(kept.spent)
        place = f"{os.environ.get('SLURMD_NODENAME')} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getppid()}"
        while done < budget and not context.preempted:
            time.sleep(self.options["seconds"])
            done += 1
            context.save(b"", spent=done)
            with (Path(self.options["folder"]) / "log").open("a") as log:
                log.write(f"{context.configuration_id} {done} {place}\n")
        return (config["x"] - 0.3) ** 2 + 1 / budget
