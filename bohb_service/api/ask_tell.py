"""Ask/tell: the optimisers in plain Python, without processes, journal or network.

The same scheduler and samplers serve here and in the master; whoever asks evaluates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

from ConfigSpace import ConfigurationSpace

from bohb_service.errors import StudyError
from bohb_service.optimizer.methods import sampler_of, schedule_of
from bohb_service.optimizer.observation import Observation, Origin
from bohb_service.optimizer.sampler import Sampler
from bohb_service.scheduler.commands import Ask, Suggest, Tell, WarmStart
from bohb_service.scheduler.outcomes import Completed, Failed
from bohb_service.scheduler.replies import Job, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.space import SearchSpace, read_space

_ASKER = "ask"


@dataclass(frozen=True, slots=True)
class AskedTrial:
    """One configuration to evaluate at one budget.

    Attributes:
        id: Name of the trial, ``"<configuration>.<rung>"``.
        config: Values of the active hyperparameters.
        budget: What the evaluation may spend.
        previous_budget: Largest budget at which this configuration was completed, or None.
        seed: Seed of the configuration, the same at every budget, in ``[0, 2**31)``.
        origin: Whether the model, the prior or the user's list proposed the configuration.
        lease: Under which the optimiser knows this request.
        optimizer: Which optimiser was asked.
    """

    id: str
    config: Mapping[str, Any]
    budget: float
    previous_budget: float | None
    seed: int
    origin: Origin
    lease: int
    optimizer: object = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The incumbent: lowest loss at the largest budget seen."""

    id: str
    config: Mapping[str, Any]
    budget: float
    loss: float


class _AskTell:
    """What all methods share.

    Args:
        space: A ConfigSpace ``ConfigurationSpace``, or a mapping in the short form of study files.
        min_budget: Smallest budget, positive.
        max_budget: Largest budget.
        eta: From rung to rung the best ``1/eta`` go on with ``eta`` times the budget; above 1.
        seed: Seed of all random numbers, not negative.
        sizes: Rule for the number of configurations in a bracket, ``"paper"`` or ``"hpbandster"``.
        n_brackets: Number of brackets after which nothing more is asked; None goes on for ever.
        initial: Configurations to try first.
        warm_start: Earlier results for the model.
        sampler: A sampler of your own, instead of the method's; then there are no options.
        options: Options of the sampler, as under ``method`` in a study file.

    Raises:
        StudyError: An argument is wrong.
    """

    method: ClassVar[str]

    def __init__(
        self,
        space: ConfigurationSpace | Mapping[str, Any],
        *,
        min_budget: float,
        max_budget: float,
        eta: float = 3,
        seed: int = 0,
        sizes: str = "paper",
        n_brackets: int | None = None,
        initial: Sequence[Mapping[str, Any]] = (),
        warm_start: Sequence[Observation] = (),
        sampler: Sampler | None = None,
        **options: Any,
    ) -> None:
        if type(seed) is not int or seed < 0:
            raise StudyError(f"seed: must be a whole number from 0 on, not {seed!r}")
        if n_brackets is not None and n_brackets < 1:
            raise StudyError(f"n_brackets: must be at least 1, or None for no end, not {n_brackets}")
        self._space = SearchSpace(space) if isinstance(space, ConfigurationSpace) else read_space(space)
        for configuration in initial:
            self._space.check(configuration)
        schedule = schedule_of(self.method, min_budget, max_budget, eta, sizes, integer=False)
        largest = schedule.bracket(0)[-1].budget
        self._scheduler = Scheduler(Settings(schedule, StopRules(brackets=n_brackets), 1, largest, seed))
        if sampler is not None and options:
            raise StudyError(f"options {', '.join(options)}: there are none with a sampler of your own; remove them")
        self._sampler = sampler or sampler_of(self.method, self._space, seed, options, initial)
        self._taken: list[Mapping[str, Any]] = []
        if warm_start:
            for observation in warm_start:
                self._space.check(observation.values)
            self._scheduler.handle(WarmStart(tuple(warm_start)))

    def ask(self) -> AskedTrial | None:
        """The next trial to evaluate; None only when something has to be told first, or all is done."""
        reply = self._scheduler.handle(Ask(_ASKER)).reply
        if isinstance(reply, Wait) and reply.needs_suggestion:
            self._suggest()
            reply = self._scheduler.handle(Ask(_ASKER)).reply
        if not isinstance(reply, Job):
            return None
        origin = self._scheduler.state.configurations[reply.trial.configuration].origin
        return AskedTrial(
            id=str(reply.trial),
            config=dict(reply.config),
            budget=reply.budget,
            previous_budget=reply.previous_budget,
            seed=reply.seed,
            origin=origin,
            lease=reply.lease,
            optimizer=self,
        )

    def tell(self, trial: AskedTrial, loss: float | None = None, *, failed: str | None = None) -> None:
        """Report the outcome of a trial; the first one counts, later ones are ignored.

        Args:
            trial: What `ask` returned.
            loss: The loss, minimised; one that is not finite is a failure.
            failed: Why the evaluation failed, instead of a loss.

        Raises:
            StudyError: Neither or both of loss and failed are given, the loss is no number, or the trial is not
                what this optimiser's `ask` returned.
        """
        if not isinstance(trial, AskedTrial):
            raise StudyError(f"tell() takes the trial that ask() returned, not {trial!r}")
        if (loss is None) == (failed is None):
            raise StudyError(f"trial {trial.id}: give either a loss or failed='reason'")
        if trial.optimizer is not self:
            raise StudyError(f"trial {trial.id} was not asked from this optimiser; tell what its ask() returned")
        outcome: Completed | Failed
        if loss is None:
            outcome = Failed("exception", str(failed))
        elif not isinstance(loss, Real):
            raise StudyError(f"trial {trial.id}: the loss must be a number, not {type(loss).__name__} {str(loss)[:60]}")
        elif math.isfinite(loss):
            outcome = Completed(float(loss))
        else:
            outcome = Failed("non-finite", f"the loss was {loss}")
        self._scheduler.handle(Tell(trial.lease, outcome))

    @property
    def incumbent(self) -> BestTrial | None:
        """The best trial at the largest budget seen, or None before the first success."""
        best = self._scheduler.state.incumbent
        if best is None:
            return None
        values = self._scheduler.state.configurations[best.trial.configuration].values
        return BestTrial(str(best.trial), dict(values), best.budget, best.loss)

    @property
    def observations(self) -> Sequence[Observation]:
        """All that the model may learn from, in order; a failed trial has an infinite loss."""
        return tuple(self._scheduler.state.observations)

    @property
    def spent(self) -> float:
        """Budgets of all asked trials, in units of the largest budget."""
        return self._scheduler.state.spent

    @property
    def is_finished(self) -> bool:
        """Whether ``n_brackets`` brackets are done."""
        return self._scheduler.is_finished

    def _suggest(self) -> None:
        state = self._scheduler.state
        number = len(self._taken)
        suggestion = self._sampler.suggest(number, state.observations, self._taken)
        self._taken.append(suggestion.values)
        self._scheduler.handle(Suggest(number, suggestion.values, suggestion.origin))


class BOHB(_AskTell):
    """Bayesian optimisation and Hyperband.

    References:
        Falkner, Klein, Hutter (2018), "BOHB", arXiv:1807.01774, Algorithms 1 and 2.
    """

    method = "bohb"


class HyperBand(_AskTell):
    """Hyperband: brackets of successive halving over random configurations.

    References:
        Li et al. (2017), "Hyperband", Algorithm 1.
    """

    method = "hyperband"


class SuccessiveHalving(_AskTell):
    """Successive halving alone: always the bracket that begins at the smallest budget.

    References:
        Jamieson, Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization".
    """

    method = "successive-halving"


class RandomSearch(_AskTell):
    """Random configurations at the largest budget."""

    method = "random"
