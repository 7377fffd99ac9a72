"""An objective that saves when it is preempted, as a study names it: ``tests/acceptance/preemptible.py:Steps``."""

import struct
import time
from pathlib import Path

from bohb_service.worker.base import Worker

STEPS_PER_UNIT = 10


class Steps(Worker):
    """A training of ten steps a unit of budget, each of which depends on the one before.

    Options: ``folder``, where a byte is left for each step that was made, by whomever; ``step_s``, seconds a step.
    """

    @staticmethod
    def configuration_space(**_options):
        from ConfigSpace import ConfigurationSpace

        return ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0)})

    def compute(self, config, budget, context):
        kept = context.load()
        n_done, value = struct.unpack("<qd", kept.content) if kept else (0, 0.0)
        with (Path(self.options["folder"]) / "steps").open("ab", buffering=0) as steps:
            while n_done < budget * STEPS_PER_UNIT and not context.preempted:
                time.sleep(self.options["step_s"])
                value = 0.97 * value + (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2
                n_done += 1
                steps.write(b".")
        context.save(struct.pack("<qd", n_done, value), spent=n_done / STEPS_PER_UNIT)
        return {"loss": value / n_done, "info": {"steps": n_done}}
