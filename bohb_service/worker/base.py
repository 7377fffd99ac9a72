"""What a user writes: a subclass of `Worker`.

The class holds no connection, no thread and no state of the service; it can be used in plain Python.
"""

import contextlib
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bohb_service.worker.checkpoint import Checkpoint, CheckpointFile, mark_of

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def _ignore_report(_step: float, _loss: float) -> None:
    """Drop a learning-curve point (the default outside a study)."""


def _never() -> bool:
    """Whether an evaluation outside a study is preempted."""
    return False


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
        continued_from: The budget that this evaluation need not spend again, since it goes on from a checkpoint; 0 if
            it began anew. `load` sets it; set it yourself if you keep checkpoints of your own.

    Args:
        directory: Where `directory` is made when it is first asked for.
        is_preempted: Answers `preempted`.
        config: The configuration; its checkpoint is not taken for that of another one.
        lease: Number of the lease, which grows from attempt to attempt.
    """

    __slots__ = (
        "_config",
        "_directory",
        "_is_preempted",
        "_lease",
        "attempt",
        "budget",
        "configuration_id",
        "continued_from",
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
        *,
        is_preempted: Callable[[], bool] = _never,
        config: Mapping[str, Any] | None = None,
        lease: int = 0,
    ) -> None:
        self.trial_id = trial_id
        self.configuration_id = configuration_id
        self.budget = budget
        self.previous_budget = previous_budget
        self.seed = seed
        self.attempt = attempt
        self.report = report
        self._directory = directory
        self.continued_from = 0.0
        self._is_preempted = is_preempted
        self._config = config
        self._lease = lease

    @property
    def preempted(self) -> bool:
        """Whether the machine is about to be taken away: save what is needed to go on, then return or raise.

        Once this was true, the evaluation is done again, here or elsewhere, whatever `compute` returns or raises: it
        is no failure and uses up no attempt. An evaluation that does not ask counts if it ends in time. Asking costs
        a few microseconds.
        """
        return self._is_preempted()

    @property
    def directory(self) -> Path:
        """Private directory of the configuration; persists from budget to budget."""
        # Not before: an objective of a few milliseconds spends more on a directory than on itself.
        directory = Path(self._directory)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        return directory

    def save(self, content: bytes, spent: float) -> bool:
        """Whether what is needed to go on from here was kept, instead of what was kept before.

        When this returns true it is durable; until then what was kept before is there, whatever happens. It is removed
        when the configuration can no longer be promoted. A disk that is full, or fails, costs no evaluation: that is
        told on stderr, which goes to the worker's log.

        Args:
            content: Anything, e.g. what ``torch.save`` wrote into an `io.BytesIO`.
            spent: The budget that has been spent up to here, in units of the study's fidelity.

        Raises:
            TypeError: The content is no bytes.
            ValueError: The budget is negative or not finite.
        """
        if not isinstance(content, bytes | bytearray | memoryview):
            raise TypeError(
                f"context.save takes bytes, not {type(content).__name__}; write it into an io.BytesIO first"
            )
        if not 0.0 <= spent < math.inf:
            raise ValueError(f"context.save: spent is {spent}; give the budget that has been spent up to here")
        try:
            self._checkpoint().save(content, float(spent))
        except OSError as error:
            sys.stderr.write(f"the checkpoint of configuration {self.configuration_id} was not kept: {error}\n")
            return False
        return True

    def load(self) -> Checkpoint | None:
        """What `save` kept last for this configuration, at whatever budget; None: begin anew.

        What is damaged, or has spent more than this evaluation may, is not given. `continued_from` is set.
        """
        found = self._checkpoint().load(self.budget)
        if found is not None:
            self.continued_from = found.spent
        return found

    def _checkpoint(self) -> CheckpointFile:
        return CheckpointFile(Path(self._directory), mark_of(self._config, self.seed), self._lease)


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
