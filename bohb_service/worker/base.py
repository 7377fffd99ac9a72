"""What a user writes: a subclass of `Worker`.

The class holds no connection, no thread and no state of the service; it can be used in plain Python.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def _ignore_report(_step: float, _loss: float) -> None:
    """Drop a learning-curve point (the default outside a study)."""


class EvaluationContext:
    """All that an objective may need beside its configuration and budget.

    Attributes:
        trial_id: Name of the trial, ``"<configuration>.<rung>"``, unique in the study.
        configuration_id: Number of the configuration in the study, from 0.
        budget: What this evaluation may spend, in units of the study's fidelity.
        previous_budget: Largest budget at which this configuration was completed before, or None.
        seed: Seed for this configuration, the same at every budget, in ``[0, 2**31)``.
        attempt: 1 for the first attempt at this trial; higher after a lost worker.
        report: ``report(step, loss)`` adds a point to the trial's learning curve.

    Args:
        directory: Where `directory` is made when it is first asked for.
    """

    __slots__ = (
        "_directory",
        "attempt",
        "budget",
        "configuration_id",
        "previous_budget",
        "report",
        "seed",
        "trial_id",
    )

    def __init__(  # noqa: PLR0917  (the order in which a trial is described)
        self,
        trial_id: str,
        configuration_id: int,
        budget: float,
        previous_budget: float | None,
        seed: int,
        directory: Path | str,
        attempt: int = 1,
        report: Callable[[float, float], None] = _ignore_report,
    ) -> None:
        self.trial_id = trial_id
        self.configuration_id = configuration_id
        self.budget = budget
        self.previous_budget = previous_budget
        self.seed = seed
        self.attempt = attempt
        self.report = report
        self._directory = directory

    @property
    def directory(self) -> Path:
        """Private directory of the configuration; persists from budget to budget."""
        # Not before: an objective of a few milliseconds spends more on a directory than on itself.
        directory = Path(self._directory)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        return directory


class Worker(ABC):
    """An objective: a search space and a way to evaluate one configuration at one budget.

    Args:
        **options: ``worker_options`` of the study file, kept as ``self.options``.

    Example:
        >>> class Sphere(Worker):
        ...     @staticmethod
        ...     def configuration_space(**options):
        ...         from ConfigSpace import ConfigurationSpace
        ...         return ConfigurationSpace({"x": (-1.0, 1.0)})
        ...
        ...     def compute(self, config, budget, context):
        ...         return config["x"] ** 2
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The worker's own search space; needed unless the study file has one.

        Args:
            **options: ``worker_options`` of the study file.
        """
        raise NotImplementedError

    @staticmethod
    def initial_configurations(**options: Any) -> Sequence[Mapping[str, Any]]:
        """Configurations worth trying first on any task, best first; needed for ``portfolio: true``.

        Args:
            **options: ``worker_options`` of the study file.
        """
        raise NotImplementedError

    def check_trial(self, config: Mapping[str, Any], budget: float) -> None:  # noqa: B027
        """Refuse what can never be evaluated, so that it is told before a study begins; by default nothing is refused.

        ``bohb-master check`` and the start of a run call it, without `setup`: with each budget of the study, and with
        random configurations and those that have a smallest or largest value. It should be quick.

        Args:
            config: As in `compute`.
            budget: As in `compute`.

        Raises:
            StudyError: The configuration or the budget is none for this worker and its options; any other exception is
                taken for the same.
        """

    def setup(self) -> None:  # noqa: B027
        """Prepare once, before the first evaluation of this process (load data, warm up a device).

        Raises:
            BohbError: Trying again is of no use, because an option or the data is wrong: the worker ends at once. After
                any other exception it tries again, three times at most.
        """

    def teardown(self) -> None:  # noqa: B027
        """Clean up once, when the process ends in an orderly way."""

    @abstractmethod
    def compute(
        self, config: Mapping[str, Any], budget: float, context: EvaluationContext
    ) -> float | Mapping[str, Any]:
        """Evaluate one configuration.

        Args:
            config: Values of the active hyperparameters, plain Python types.
            budget: What this evaluation may spend.
            context: Identity, seed, directory and learning-curve callback.

        Returns:
            The loss to minimise, or ``{"loss": ..., "info": {...}}`` with any plain data as info.
            A raised exception, or a loss that is not a finite number, is a failed evaluation.
        """

    def refit(self, config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Mapping[str, Any]:
        """Train the final model with the incumbent and judge it on data that the search never saw.

        Optional: a study whose worker overrides this ends with one such job. Never used for selection.

        Args:
            config: The incumbent.
            budget: The largest budget of the study.
            context: As in `compute`; the directory is that of the incumbent.

        Returns:
            Plain data for the summary. By convention ``test_error`` is a fraction in [0, 1], and
            ``baseline`` is a mapping ``{"name": ..., "test_error": ..., "validation_loss": ...}``
            of what the incumbent has to beat at the same budget.
        """
        raise NotImplementedError
