"""BOHB as a service: Bayesian optimisation and Hyperband for expensive objectives, on one machine or many.

For an objective, subclass `Worker`. To run a study from Python, call `run`; to evaluate yourself, use the
ask/tell classes `BOHB`, `HyperBand`, `SuccessiveHalving` and `RandomSearch`; to read what was found, `load_run`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bohb_service._version import VERSION as __version__  # noqa: N811  (the name that Python expects)
    from bohb_service.api.ask_tell import BOHB, AskedTrial, BestTrial, HyperBand, RandomSearch, SuccessiveHalving
    from bohb_service.api.run import run
    from bohb_service.errors import BohbError
    from bohb_service.optimizer.observation import Observation
    from bohb_service.results.run import Run, load_run
    from bohb_service.worker.base import EvaluationContext, Worker

# Imported at first use: a worker's parent process needs none of the numerical packages.
_HOMES = {
    "AskedTrial": "bohb_service.api.ask_tell",
    "BOHB": "bohb_service.api.ask_tell",
    "BestTrial": "bohb_service.api.ask_tell",
    "BohbError": "bohb_service.errors",
    "EvaluationContext": "bohb_service.worker.base",
    "HyperBand": "bohb_service.api.ask_tell",
    "Observation": "bohb_service.optimizer.observation",
    "RandomSearch": "bohb_service.api.ask_tell",
    "Run": "bohb_service.results.run",
    "SuccessiveHalving": "bohb_service.api.ask_tell",
    "Worker": "bohb_service.worker.base",
    "load_run": "bohb_service.results.run",
    "run": "bohb_service.api.run",
}

__all__ = [
    "BOHB",
    "AskedTrial",
    "BestTrial",
    "BohbError",
    "EvaluationContext",
    "HyperBand",
    "Observation",
    "RandomSearch",
    "Run",
    "SuccessiveHalving",
    "Worker",
    "__version__",
    "load_run",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("bohb_service._version").VERSION
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
