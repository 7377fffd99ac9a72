"""A trained agent: what acts, and how it is kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.workers.common.draws import check_generator
from bohb_service.workers.common.restored import restored
from bohb_service.workers.common.sealed import SealedKind
from bohb_service.workers.common.shown import shown

from .actor import Actor, Layers
from .environments import Interface
from .hyperparameters import ACTIVATIONS
from .normalisation import Eyes
from .options import TARGET

AGENT = SealedKind("agent", "agent.json", 2)
"""The folder of an agent; before version 2 there were no digests."""

_WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that acts in its environment, or in one like it.

    Attributes:
        actor: Its network.
        interface: What it sees and does.
        eyes: How observations are scaled; None: they are not.
    """

    actor: Actor
    interface: Interface
    eyes: Eyes | None

    def act(self, observation: Any, rng: np.random.Generator | None = None) -> Any:
        """The action for an observation, or the actions for several.

        Args:
            observation: As the environment gives it, or an array with one more axis in front.
            rng: Draws actions as in training; without it the likeliest ones are taken.

        Returns:
            The number of an action, or an array as the environment takes it; for several observations an array of them.

        Raises:
            ValueError: The observation is not like those of the environment, or not of numbers.
            TypeError: ``rng`` is no generator.
        """
        if rng is not None:
            check_generator("rng", rng)
        given = _numbers(observation)
        is_single = given.ndim == (0 if self.interface.is_category else 1)
        seen = self.interface.see(given[None] if is_single else given)
        if self.eyes is not None:
            seen = self.eyes.see(seen)
        actions = self.actor.mode(seen) if rng is None else self.actor.sample(seen, self.actor.noise(rng, len(seen)))
        converted = self.interface.actions.convert(actions)
        if not is_single:
            return converted
        return int(converted[0]) if self.actor.kind == "discrete" else converted[0]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Weights by name, from which `from_arrays` makes the agent again; they are not copied."""
        named = {"log_std": self.actor.log_std}
        layers = self.actor.layers
        for number, (weight, bias) in enumerate(zip(layers.weights, layers.biases, strict=True), start=1):
            named |= {f"weight_{number}": weight, f"bias_{number}": bias}
        return named

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[np.float32]],
        activations: tuple[str, str],
        interface: Interface,
        eyes: Eyes | None,
    ) -> "Agent":
        """An agent with these weights, copied.

        Args:
            arrays: As `arrays` names them.
            activations: Of the hidden layers.
            interface: Of the environment.
            eyes: How observations are scaled.

        Raises:
            KeyError: A name is missing.
        """
        first, second, third = (arrays[f"weight_{number}"].copy() for number in (1, 2, 3))
        bias_1, bias_2, bias_3 = (arrays[f"bias_{number}"].copy() for number in (1, 2, 3))
        layers = Layers((first, second, third), (bias_1, bias_2, bias_3), activations)
        return cls(Actor(layers, interface.actions.kind, arrays["log_std"].copy()), interface, eyes)

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write it as a folder without pickles, ``agent.json`` and ``weights.safetensors``.

        Args:
            path: The folder; an older one there is replaced.
            facts: Plain data to keep beside it.

        Raises:
            StudyError: Something else than an agent is there.
            OSError: The folder cannot be written.
        """
        from safetensors.numpy import save_file

        data = {
            "target": TARGET,
            "activations": list(self.actor.layers.activations),
            "interface": asdict(self.interface),
            "observations": None
            if self.eyes is None
            else {"mean": self.eyes.mean.tolist(), "deviation": self.eyes.deviation.tolist()},
            "facts": dict(facts),
        }

        def fill(folder: Path) -> Mapping[str, Any]:
            arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays().items()}
            save_file(arrays, folder / _WEIGHTS)
            return data

        AGENT.save(path, fill)


def _numbers(observation: Any) -> NDArray[Any]:
    """An observation as an array of numbers."""
    given = np.asarray(observation)
    if given.dtype.kind not in "biuf":
        raise ValueError(f"observation: must be of numbers, not {shown(observation)}")
    return given


def load(path: Path | str) -> Agent:
    """The agent in a folder that a study or `Agent.save` left.

    Args:
        path: The folder, as the results of the study name it.

    Raises:
        StudyError: There is no such agent, or it is damaged or another target's.
    """
    from safetensors.numpy import load_file

    folder = Path(path)

    def make(data: Mapping[str, Any]) -> Agent:
        if data["target"] != TARGET:
            raise StudyError(f"{folder}: an agent of {data['target']!r}, not of {TARGET!r}")
        scaled = data["observations"]
        eyes = None if scaled is None else Eyes(*(np.array(scaled[key], np.float32) for key in ("mean", "deviation")))
        first, second = data["activations"]
        interface = restored(Interface, data["interface"])
        agent = Agent.from_arrays(load_file(folder / _WEIGHTS), (first, second), interface, eyes)
        _check_fit(agent)
        return agent

    return AGENT.load(folder, make)


def _check_fit(agent: Agent) -> None:
    """Raise if weights, scales and bounds do not fit each other, or are not finite."""
    layers, interface, eyes = agent.actor.layers, agent.interface, agent.eyes
    if not set(layers.activations) <= set(ACTIVATIONS):
        raise ValueError(f"activations {layers.activations}")
    if layers.weights[0].shape[0] != interface.observations:
        raise ValueError(f"a network for {layers.weights[0].shape[0]} observations")
    actions = interface.actions
    outputs = layers(np.zeros((1, interface.observations), np.float32))
    sizes = [outputs.shape[1], *([len(actions.low), len(actions.high)] if actions.low or actions.high else [])]
    if actions.kind == "continuous":
        sizes.append(len(agent.actor.log_std))
    scales = () if eyes is None else (eyes.mean, eyes.deviation)
    if any(size != actions.size for size in sizes) or any(scale.shape != (interface.observations,) for scale in scales):
        raise ValueError("its parts do not fit each other")
    if not all(np.isfinite(array).all() for array in (*agent.arrays().values(), *scales)):
        raise ValueError("numbers that are not finite")
    seen = np.zeros(interface.observations) + interface.first_category
    agent.act(seen[0] if interface.is_category else seen)
