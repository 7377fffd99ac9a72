"""What the workers of a test network evaluate: it keeps a log of its own, and can be held."""

import json
import socket
import time
from pathlib import Path

from bohb_service.worker.base import Worker


class Held(Worker):
    """Writes down when it begins and ends a trial, and does not end while it is held.

    Options: ``folder``, where the log ``entries`` is, and files ``hold-NAME`` that hold all trials on the host of
    that name, or the trial ``TRIAL``, or its attempt ``TRIAL-ATTEMPT``; ``seconds`` of sleep for each unit of budget.
    """

    @staticmethod
    def configuration_space(**_options):
        from ConfigSpace import ConfigurationSpace

        return ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0)})

    def compute(self, config, budget, context):
        folder, host = Path(self.options["folder"]), socket.gethostname()
        held_by = [
            folder / f"hold-{name}" for name in (host, context.trial_id, f"{context.trial_id}-{context.attempt}")
        ]
        self.note("begin", context, host)
        time.sleep(self.options["seconds"] * budget)
        while any(file.exists() for file in held_by):
            time.sleep(0.01)
        self.note("end", context, host)
        return config["x"] + config["y"] + 1 / budget

    def note(self, what, context, host):
        with (Path(self.options["folder"]) / "entries").open("a") as file:
            file.write(json.dumps([what, context.trial_id, context.attempt, host, time.time()]) + "\n")
