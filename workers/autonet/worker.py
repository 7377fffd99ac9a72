"""The worker `autonet`: tunes networks for tables, one epoch per unit of budget."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bohb_service.workers.common.progress import Progress
from bohb_service.workers.tabular.options import TableOptions
from bohb_service.workers.tabular.rows import Fold
from bohb_service.workers.tabular.worker import Effort, Report, TabularWorker, TrainedModel

from .allowance import Allowance
from .hyperparameters import Hyperparameters
from .options import OPTION_NAMES, TARGET, NetworkOptions
from .portfolio import portfolio
from .spaces import BASES, build_space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


class AutoNet(TabularWorker):
    """Networks for tables; the loss is that of the validation rows, by default their error or RMSE.

    The budget is the number of epochs in total (``fidelity: epochs``), or the seconds of training. A configuration
    that was trained before continues from the checkpoint in its directory. The schedules of the learning rate are
    defined on the horizon, not on the budget, so that continuing equals training in one go: the loss at a number of
    epochs is bit for bit that of a fresh training with the same seed.

    Args:
        **options: `TableOptions` and `NetworkOptions`.

    Raises:
        StudyError: An option is wrong.
    """

    NAME: ClassVar[str] = TARGET
    FIDELITIES: ClassVar[tuple[str, ...]] = ("epochs", "seconds")
    EXTRA: ClassVar[tuple[str, ...]] = OPTION_NAMES

    @classmethod
    def parse_options(cls, options: Mapping[str, Any]) -> TableOptions:
        """The options, checked; those of this target are in ``extra``.

        Raises:
            StudyError: A name or a value is wrong.
        """
        parsed = super().parse_options(options)
        NetworkOptions.parse(parsed.extra)
        return parsed

    @staticmethod
    def configuration_space(**options: Any) -> "ConfigurationSpace":
        """The search space that the option ``space`` names.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option is wrong.
        """
        parsed = AutoNet.parse_options(options)
        return build_space(NetworkOptions.parse(parsed.extra).space, parsed.task)

    @staticmethod
    def initial_configurations(**options: Any) -> Sequence[Mapping[str, Any]]:
        """The portfolio: 16 configurations that did well on other data; none for the small space.

        Args:
            **options: As for the class.

        Raises:
            StudyError: An option is wrong.
        """
        parsed = AutoNet.parse_options(options)
        return portfolio(NetworkOptions.parse(parsed.extra).space, parsed.task)

    @cached_property
    def network_options(self) -> NetworkOptions:
        """The options of this target."""
        return NetworkOptions.parse(self.table_options.extra)

    def check_training(self, config: Mapping[str, Any], effort: Effort) -> None:
        """Refuse what `train` would refuse of any fold.

        Args:
            config: Values of the active hyperparameters.
            effort: What it may spend.

        Raises:
            StudyError: The budget is beyond the horizon, or no number of epochs.
            SpaceError: A hyperparameter is unknown, or its value impossible.
        """
        Hyperparameters.from_config(config, BASES[self.network_options.space])
        Allowance.of(effort, self.network_options.horizon)

    def setup(self) -> None:
        """Read the data, and load PyTorch."""
        from .machine import find_device

        super().setup()
        find_device(self.network_options.device)

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
        """A network that learned from the training rows of a fold.

        Args:
            config: A configuration of one of the spaces, or part of one: what it leaves out is as in the space that
                the option names.
            effort: Epochs or seconds in total.
            fold: What it learns from.
            seed: Of all that is random.
            folder: Holds its checkpoint.
            report: Gets the prediction after each epoch that is trained now.
            progress: Asked between epochs, and in those that are long; told how much was taken over.

        Raises:
            StudyError: A hyperparameter or the budget is wrong, or the device is missing.
            FloatingPointError: The training diverged.
            Preempted: It had to end early; the epochs that are done are in the checkpoint.
        """
        from .course import train_network

        options = self.network_options
        parameters = Hyperparameters.from_config(config, BASES[options.space])
        mark = self.mark(asdict(parameters), fold, seed, options=asdict(options))
        return train_network(
            parameters,
            effort,
            fold,
            options=options,
            seed=seed,
            path=folder / "checkpoint.bin",
            mark=mark,
            report=report,
            progress=progress,
        )
