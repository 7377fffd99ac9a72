"""The objective of the chaos campaign: a pure function of configuration and budget that keeps its own log.

Before each evaluation and at its end one line of JSON goes to the side log, in a single write that other processes
cannot split. How long an evaluation takes, whether it fails and how, follows from configuration and budget alone, so
every attempt at a trial has the same fate, whatever is done to the processes around it.
"""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

from bohb_service import Worker

FAMILIES = ("a", "b", "c")


class Chaos(Worker):
    """Two numbers and a category; a larger budget takes away a constant.

    Args:
        log: The side log.
        seconds: Length of an evaluation at budget 1; it grows with the budget, and varies.
        long_seconds: Length of the few evaluations that are long.
        n_fates: One configuration in about so many has each of the evil fates; 0 for none.
    """

    def __init__(self, log, seconds=0.02, long_seconds=3.0, n_fates=40):
        super().__init__(log=log)
        self.log = Path(log)
        self.seconds, self.long_seconds, self.n_fates = seconds, long_seconds, n_fates

    @staticmethod
    def configuration_space(**_options):
        from ConfigSpace import ConfigurationSpace

        return ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0), "family": list(FAMILIES)})

    def compute(self, config, budget, context):
        self.write("start", config, budget, context)
        chance = _chance(config, budget)
        fate = int(_chance(config, 0.0) * self.n_fates) if self.n_fates else 9
        is_long = chance < 0.004
        time.sleep(self.long_seconds if is_long else self.seconds * budget**0.5 * (0.5 + chance))
        if fate == 0:
            self.write("raise", config, budget, context)
            raise ValueError("this configuration raises")
        if fate == 1 and budget > 1:
            self.write("exit", config, budget, context)
            os._exit(7)
        if fate == 2:
            # Nobody is to blame for that, so it is tried again until the attempts are used up.
            os.kill(os.getpid(), signal.SIGKILL)
        context.report(budget, chance)
        loss = loss_of(config, budget)
        info = {"trial": context.trial_id, "budget": budget, "chance": chance}
        self.write("end", config, budget, context, loss=loss, info=info)
        return {"loss": loss, "info": info}

    def refit(self, config, budget, context):
        self.write("start", config, budget, context)
        time.sleep(self.seconds * 10)
        info = {"test_error": min(1.0, loss_of(config, budget))}
        self.write("end", config, budget, context, info=info)
        return info

    def write(self, event, config, budget, context, **more):
        """Add a record to the side log."""
        record = {
            "event": event,
            "trial": context.trial_id,
            "configuration": context.configuration_id,
            "values": dict(config),
            "budget": budget,
            "seed": context.seed,
            "attempt": context.attempt,
            "worker": os.environ.get("BOHB_NAME", ""),
            "pid": os.getpid(),
            "at": time.monotonic(),
            **more,
        }
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
        finally:
            os.close(descriptor)


def loss_of(config, budget):
    """The true loss."""
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2 + 0.1 * FAMILIES.index(config["family"]) + 1.0 / budget


def _chance(config, budget):
    """A number in [0, 1) that looks random and is always the same for the same arguments."""
    text = json.dumps([config["x"], config["y"], config["family"], budget])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
