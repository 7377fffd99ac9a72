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
        kept = context.directory / "done"
        done = int(kept.read_text()) if kept.exists() else 0
        place = f"{os.environ.get('SLURMD_NODENAME')} {os.environ.get('CUDA_VISIBLE_DEVICES')} {os.getppid()}"
        while done < budget:
            time.sleep(self.options["seconds"])
            done += 1
            draft = kept.with_suffix(".draft")
            draft.write_text(str(done))
            draft.replace(kept)
            with (Path(self.options["folder"]) / "log").open("a") as log:
                log.write(f"{context.configuration_id} {done} {place}\n")
        return (config["x"] - 0.3) ** 2 + 1 / budget
