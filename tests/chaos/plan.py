"""What a campaign draws from its seed for each run."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OBJECTIVE = Path(__file__).with_name("objective.py")

STUDY = "chaos"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        n_workers: Number of workers at a time.
        seconds: Length of an evaluation at budget 1.
        lease_s: Term of a lease.
        grace_s: Grace period.
        stop: Stopping rules.
        attempts: How often a trial is tried.
        refit: Whether the incumbent is trained again.
        n_fates: See the objective.
        seed: Seed of the study.
    """

    n_workers: int
    seconds: float
    lease_s: float
    grace_s: float
    stop: dict[str, Any]
    attempts: int
    refit: bool
    n_fates: int
    seed: int

    def study(self, side_log: Path) -> dict[str, Any]:
        """The content of the study file."""
        return {
            "name": STUDY,
            "worker": f"{OBJECTIVE}:Chaos",
            "worker_options": {
                "log": str(side_log),
                "seconds": self.seconds,
                "long_seconds": 2 * self.lease_s,
                "n_fates": self.n_fates,
            },
            "fidelity": {"min": 1, "max": 9},
            "stop": self.stop,
            "limits": {"attempts": self.attempts},
            "refit": self.refit,
            "seed": self.seed,
        }


def draw_plan(rng: random.Random) -> Plan:
    """A run of some ten seconds, were it left alone."""
    n_workers = rng.randint(4, 6)
    # Short jobs are leased in groups, longer ones singly; both ways must hold.
    seconds = rng.choice((0.004, 0.03, 0.06))
    n_cycles = max(8, int(6.0 * n_workers / (38 * max(seconds, 0.02))))
    stop = rng.choice(
        (
            {"brackets": 3 * n_cycles},
            {"brackets": 3 * n_cycles},
            {"evaluations": 20 * n_cycles},
            {"full_budgets": 8.0 * n_cycles},
        )
    )
    return Plan(
        n_workers=n_workers,
        seconds=seconds,
        lease_s=rng.choice((1.5, 2.0, 3.0)),
        grace_s=rng.choice((0.3, 1.0)),
        stop=stop,
        attempts=rng.choice((3, 3, 6)),
        refit=rng.random() < 0.5,
        n_fates=rng.choice((0, 40, 60)),
        seed=rng.randrange(1 << 16),
    )
