"""A network in training, epoch by epoch, whose whole state can be taken out and put back.

Everything random is drawn by counter, from the seed and the number of the epoch, so that a training which was
interrupted and restored goes on exactly as if it had not been.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bohb_service.workers.common.progress import never
from bohb_service.workers.tabular.columns import FloatArray

from .hyperparameters import Hyperparameters
from .initialisers import initialise
from .mixup import draw_mixture
from .networks import TabularNetwork, in_parts
from .objective import Objective
from .optimisers import make_optimizer
from .preparation import Inputs, Preparation
from .schedules import Schedule
from .stopping import EarlyStopping

_WEIGHTS, _SHUFFLE, _MIXUP, _NOISE = 0, 1, 2, 3
"""Purposes of random numbers, the first element of the spawn key."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors, all on one device.

    Attributes:
        dense: Shape ``(n, n_dense)``.
        codes: Shape ``(n, n_embedded)``.
    """

    dense: Tensor
    codes: Tensor

    @classmethod
    def of(cls, inputs: Inputs, device: torch.device) -> "Batch":
        """Prepared rows on a device."""
        return cls(torch.from_numpy(inputs.dense).to(device), torch.from_numpy(inputs.codes).to(device))

    def __len__(self) -> int:
        return len(self.dense)

    def select(self, index: Tensor) -> "Batch":
        """The rows with these numbers."""
        codes = self.codes.index_select(0, index) if self.codes.shape[1] else self.codes
        return Batch(self.dense.index_select(0, index), codes)


@dataclass(frozen=True, slots=True)
class Watch:
    """Rows for early stopping.

    Attributes:
        rows: Their features.
        target: Their targets, encoded.
        patience: Epochs without improvement that end the training.
    """

    rows: Batch
    target: Tensor
    patience: int


class Training:
    """A network and all that changes as it learns.

    Args:
        parameters: Of network and training.
        preparation: Of the inputs.
        objective: What is learned.
        rows: To learn from.
        target: Of these rows, class numbers or values on the original scale.
        seed: Of all that is random, in ``[0, 2**31)``.
        horizon: Epochs that the schedule of the learning rate spans.
        watch: For early stopping; None for none.
    """

    def __init__(
        self,
        parameters: Hyperparameters,
        preparation: Preparation,
        objective: Objective,
        rows: Batch,
        target: NDArray[Any],
        *,
        seed: int,
        horizon: int,
        watch: Watch | None = None,
    ) -> None:
        self._p = parameters
        self._rows = rows
        self.device = rows.dense.device
        self._objective = objective
        self._target = objective.encode(target).to(self.device)
        self._seed = seed
        self._watch = watch
        self._stopping = EarlyStopping(watch.patience) if watch else None
        weights = objective.class_weights(target) if parameters.weighted_loss else None
        self._criterion = objective.criterion(weights.to(self.device) if weights is not None else None)
        with self._randomness(_WEIGHTS, 0):
            self.network = TabularNetwork(parameters, preparation.n_dense, preparation.embedded, objective.n_outputs)
            initialise(self.network, parameters)
        self.network.to(self.device)
        self._optimizer = make_optimizer(parameters, self.network.parameters())
        self._schedule = Schedule(parameters, horizon)
        self.losses: list[float] = []

    @property
    def epochs(self) -> int:
        """Number of epochs trained so far."""
        return len(self.losses)

    @property
    def is_over(self) -> bool:
        """Whether early stopping has ended the training: further epochs would change nothing."""
        return self._stopping is not None and self._stopping.is_over

    @property
    def n_weights(self) -> int:
        """Number of trained numbers."""
        return sum(weights.numel() for weights in self.network.parameters())

    def train_epoch(self, must_leave: Callable[[], bool] = never) -> bool:
        """Learn from each row once; whether that was done, for otherwise this training must not go on.

        Args:
            must_leave: Asked between batches whether to end in the middle of the epoch.

        Raises:
            FloatingPointError: The loss is no longer finite.
        """
        epoch = self.epochs
        generator = np.random.default_rng(self._spawn(_MIXUP, epoch))
        batches = self._batches(epoch)
        self.network.train()
        total = torch.zeros((), device=self.device)
        with self._randomness(_NOISE, epoch):
            for step, index in enumerate(batches):
                if step and must_leave():
                    return False
                rate = self._schedule.rate(epoch, step, len(batches))
                for group in self._optimizer.param_groups:
                    group["lr"] = rate
                total += len(index) * self._step(index, generator)
        loss = float(total) / sum(map(len, batches))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"training diverged in epoch {epoch + 1}: the loss is {loss}; lower learning_rate "
                f"({self._p.learning_rate:g}) or momentum, or choose a scaler"
            )
        self.losses.append(loss)
        self._schedule.end_epoch(loss)
        if self._watch is not None and self._stopping is not None:
            watched = self._objective.criterion()(self._output(self._watch.rows), self._watch.target)
            self._stopping.take(float(watched), self.network.state_dict())
        return True

    def predict(self, rows: Batch) -> FloatArray:
        """Probabilities of the classes, or values, of the network as it is after the last epoch.

        Args:
            rows: On the same device.
        """
        return self._objective.predictions(self._output(rows))

    def final_weights(self) -> dict[str, Tensor]:
        """Weights and statistics by name: the last ones, or with early stopping the best ones."""
        return dict(self._stopping.best if self._stopping and self._stopping.best else self.network.state_dict())

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next epochs depend on beside the constructor's arguments and `losses`: copies, by name."""
        arrays = {f"model.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            arrays |= {
                f"optimizer.{number}.{name}": torch.as_tensor(moment)
                for name, moment in moments.items()
                if moment is not None
            }
        plain = {name: tensor.detach().cpu().numpy().copy() for name, tensor in arrays.items()}
        plateau = self._schedule.plateau
        plain["plateau"] = np.array([plateau.factor, plateau.best, plateau.waited])
        if self._stopping is not None:
            plain["stopping"] = np.array([self._stopping.best_loss, self._stopping.waited])
            plain |= {f"best.{name}": tensor.cpu().numpy().copy() for name, tensor in self._stopping.best.items()}
        return plain

    def restore(self, state: Mapping[str, NDArray[Any]], losses: list[float]) -> None:
        """Continue from a state of a training that was made with the same arguments.

        Args:
            state: What `state` returned.
            losses: What `losses` was.
        """
        self.network.load_state_dict(self._tensors(state, "model."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in self._tensors(state, "optimizer.").items():
            number, _, name = key.partition(".")
            moments.setdefault(int(number), {})[name] = tensor
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        plateau = self._schedule.plateau
        plateau.factor, plateau.best = float(state["plateau"][0]), float(state["plateau"][1])
        plateau.waited = int(state["plateau"][2])
        if self._stopping is not None:
            self._stopping.best_loss, self._stopping.waited = float(state["stopping"][0]), int(state["stopping"][1])
            self._stopping.best = self._tensors(state, "best.")
        self.losses = list(losses)

    def _step(self, index: Tensor, generator: np.random.Generator) -> Tensor:
        rows, target = self._rows.select(index), self._target.index_select(0, index)
        inputs = self.network.embed(rows.dense, rows.codes)
        mixture = draw_mixture(self._p, len(index), generator, self.device)
        if mixture is None:
            loss = self._criterion(self.network.body(inputs), target)
        else:
            loss = mixture.loss(self._criterion, self.network.body(mixture.inputs(inputs)), target)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Numbers of the rows of each step: a permutation in equal parts, the last one smaller."""
        rows = len(self._rows)
        # A batch norm needs two rows to tell a mean from a deviation.
        order = np.zeros(2, dtype=np.int64) if rows == 1 else self._permutation(epoch, rows)
        size = min(self._p.batch_size, len(order))
        ends = [*range(size, len(order), size), len(order)]
        if len(ends) > 1 and ends[-1] - ends[-2] == 1:
            del ends[-2]
        sizes = np.diff([0, *ends]).tolist()
        return tuple(torch.from_numpy(order).to(self.device).split(sizes))

    def _permutation(self, epoch: int, rows: int) -> NDArray[np.int64]:
        return np.random.default_rng(self._spawn(_SHUFFLE, epoch)).permutation(rows)

    def _output(self, rows: Batch) -> Tensor:
        self.network.eval()
        return in_parts(self.network, rows.dense, rows.codes)

    def _tensors(self, state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): torch.from_numpy(np.array(array)).to(self.device)
            for name, array in state.items()
            if name.startswith(prefix)
        }

    def _spawn(self, purpose: int, epoch: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self._seed, spawn_key=(purpose, epoch))

    @contextmanager
    def _randomness(self, purpose: int, epoch: int) -> Iterator[None]:
        """Inside, PyTorch's global generators are seeded; outside they are as they were."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(self._spawn(purpose, epoch).generate_state(1, np.uint64)[0] >> 1))
            yield
