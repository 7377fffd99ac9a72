"""The worker `sghmc`: tunes Bayesian neural networks, one step of the sampler per unit of budget."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.common.progress import Progress
from bohb_service.workers.common.surroundings import no_warnings
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.rows import Fold
from bohb_service.workers.tabular.task import Kind
from bohb_service.workers.tabular.worker import Effort, Report, TabularWorker, TrainedModel

from .hyperparameters import Hyperparameters, build_space
from .options import OPTION_NAMES, TARGET, SamplingOptions
from .steps import adapting_steps, steps_of

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

    from .model import SampledNetworks

_DIAGNOSED_ROWS = 20


class SGHMC(TabularWorker):
    """Bayesian neural networks; the loss is the mean negative log likelihood of the validation rows, in nats.

    That of a regression is on the scale of the data. The budget is the number of steps of each chain in total. A
    configuration that was evaluated before continues from the checkpoint in its directory, and the loss at a number of
    steps is bit for bit that of fresh chains with the same seed.

    Args:
        **options: `TableOptions` and `SamplingOptions`.

    Raises:
        StudyError: An option is wrong.
    """

    NAME: ClassVar[str] = TARGET
    FIDELITIES: ClassVar[tuple[str, ...]] = ("steps",)
    EXTRA: ClassVar[tuple[str, ...]] = OPTION_NAMES
    DEFAULT_METRICS: ClassVar[Mapping[Kind, str]] = {"classification": "log_loss", "regression": "nll"}
    TELLS_VARIANCE: ClassVar[bool] = True

    @classmethod
    def parse_options(cls, options: Mapping[str, Any]) -> TableOptions:
        """The options, checked; those of this target are in ``extra``.

        Raises:
            StudyError: A name or a value is wrong.
        """
        parsed = super().parse_options(options)
        sampling = SamplingOptions.parse(parsed.extra)
        is_by_steps = parsed.fidelity in (None, "steps")
        if not is_by_steps and isinstance(sampling.adaptation, int) and sampling.adaptation > sampling.steps:
            raise OptionError(
                "adaptation",
                f"{sampling.adaptation} steps are more than the {sampling.steps} of steps; lower the one or raise the "
                "other",
            )
        return parsed

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The published search space.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option is wrong.
        """
        SGHMC.parse_options(options)
        return build_space()

    @cached_property
    def sampling_options(self) -> SamplingOptions:
        """The options of this target."""
        return SamplingOptions.parse(self.table_options.extra)

    def check_training(self, config: Mapping[str, Any], effort: Effort) -> None:
        """Refuse what `train` would refuse of any fold.

        Args:
            config: Values of the active hyperparameters.
            effort: What it may spend.

        Raises:
            StudyError: The budget is no number of steps, or ends within the adaptation.
            SpaceError: A hyperparameter is unknown, or its value impossible.
        """
        options = self.sampling_options
        adapting_steps(Hyperparameters.from_config(config), steps_of(effort, options), options)

    def setup(self) -> None:
        """Read the data, and load PyTorch; and ArviZ, if trials are diagnosed."""
        import torch  # noqa: F401

        super().setup()
        if self.sampling_options.chains > 1:
            with no_warnings():
                import arviz  # noqa: F401

    def train(
        self,
        config: Mapping[str, Any],
        effort: Effort,
        fold: Fold,
        *,
        seed: int,
        folder: Path,
        report: Report,
        progress: Progress,
    ) -> TrainedModel:
        """Networks sampled from the posterior given the training rows of a fold.

        Args:
            config: A configuration of the space, or part of one: what it leaves out keeps its default.
            effort: Steps in total.
            fold: What is learned from.
            seed: Of all that is random.
            folder: Holds the checkpoint.
            report: Gets the prediction at the end.
            progress: Asked between steps; told how many steps were taken over.

        Returns:
            The networks; with several chains their info has ``r_hat`` and ``ess``, the worst ones of the predictions
            for some of the rows to judge on and of the noise.

        Raises:
            StudyError: A hyperparameter or the budget is wrong.
            FloatingPointError: A chain has diverged.
            Preempted: It had to end early; the chains are kept as they are.
        """
        from .course import mark_of, sample_networks

        options, parameters = self.sampling_options, Hyperparameters.from_config(config)
        networks = sample_networks(
            parameters,
            effort,
            fold,
            options=options,
            seed=seed,
            path=folder / "checkpoint.bin",
            mark=self.mark(config, fold, seed, **mark_of(parameters, options)),
            progress=progress,
        )
        if len(fold.judge):
            report(steps_of(effort, options), networks.predict(fold.judge.features))
            networks = replace(networks, info={**networks.info, **_diagnosed(networks, fold.judge.features)})
        return networks


def _diagnosed(networks: "SampledNetworks", features: FloatArray) -> dict[str, float]:
    """The worst R-hat and effective sample size of predictions and noise; nothing of one chain, or of a few draws."""
    from .diagnostics import LEAST_DRAWS, diagnose

    chains, draws = networks.samples.shape[:2]
    if chains == 1 or draws < LEAST_DRAWS:
        return {}
    found = diagnose(networks.traces(features[:_DIAGNOSED_ROWS])).values()
    told = {"r_hat": max(each.worst_r_hat for each in found), "ess": min(each.least_ess for each in found)}
    # Constants have neither.
    return {name: value for name, value in told.items() if math.isfinite(value)}
