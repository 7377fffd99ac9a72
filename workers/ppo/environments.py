"""Gymnasium's environments by name: what an agent sees and does there, and clear words if they cannot be used."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import WorkerSpecError
from bohb_service.suggestions import did_you_mean
from bohb_service.worker.loader import import_location
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.common.shown import shown
from bohb_service.workers.common.surroundings import no_warnings

from .actor import Actions, Floats, Kind

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

_OPTION = "env"


@dataclass(frozen=True, slots=True)
class ActionForm:
    """The actions of an environment.

    Attributes:
        kind: ``discrete`` or ``continuous``.
        size: Number of actions to choose from, or of numbers that an action has.
        start: Number of the first discrete action.
        low: Smallest values of a continuous action, where the agent says -1; empty if it is not bounded.
        high: Largest values, where the agent says 1.
        shape: Of a continuous action.
    """

    kind: Kind
    size: int
    start: int = 0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()

    def convert(self, actions: Actions) -> NDArray[Any]:
        """Actions as the environment takes them, shape ``(n,)`` or ``(n, *shape)``.

        Args:
            actions: As the agent says, shape ``(n,)`` or ``(n, size)``.
        """
        if self.kind == "discrete":
            return actions + self.start
        if self.low:
            low, high = np.asarray(self.low), np.asarray(self.high)
            shares: NDArray[np.float64] = (np.clip(actions.astype(np.float64), -1.0, 1.0) + 1.0) / 2
            actions = (low + shares * (high - low)).astype(np.float32)
        return actions.reshape(-1, *self.shape)


@dataclass(frozen=True, slots=True)
class Interface:
    """What an agent needs to know of an environment.

    Attributes:
        observations: Numbers of an observation, or of categories.
        actions: Its actions.
        is_category: Whether an observation is the number of a category; the agent sees it as one 1 among 0s.
        first_category: Number of the first category.
    """

    observations: int
    actions: ActionForm
    is_category: bool = False
    first_category: int = 0

    def see(self, observations: Any) -> Floats:
        """Observations as the agent sees them, shape ``(n, d)``.

        Args:
            observations: As the environment gives them: shape ``(n, d)``, or ``(n,)`` for categories.

        Raises:
            ValueError: They are not like those of the environment.
        """
        given = np.asarray(observations)
        if self.is_category:
            numbers = given - self.first_category
            if not np.isin(numbers, np.arange(self.observations)).all():
                last = self.first_category + self.observations - 1
                raise ValueError(f"observations must be whole numbers from {self.first_category} to {last}")
            seen: Floats = np.eye(self.observations, dtype=np.float32)[numbers.astype(np.int64)]
        else:
            seen = given.astype(np.float32)
        if seen.ndim != 2 or seen.shape[1] != self.observations:
            raise ValueError(f"observations have shape {given.shape}, but the agent learned from {self.observations}")
        return seen


def registered(name: str) -> "EnvSpec":
    """What Gymnasium has registered under a name, in any of its spellings: ``CartPole-v1``, or without its version.

    Args:
        name: As registered; after ``module:`` or ``path/to/file.py:``, if that has to be imported first. Without a
            version the latest one is meant.

    Raises:
        StudyError: There is no such environment, or what has to be imported cannot be.
    """
    import gymnasium
    from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

    where, _, plain = name.rpartition(":")
    if where:
        _import(where, name)
    try:
        namespace, base, version = parse_env_id(plain)
        latest = find_highest_version(namespace, base) if version is None else version
        return gymnasium.spec(get_env_id(namespace, base, latest))
    except gymnasium.error.Error as error:
        raise _unknown(name, plain) from error


def identity(name: str) -> str:
    """Text that is the same for all spellings of an environment's name, and no other's.

    Args:
        name: As for `registered`.

    Raises:
        StudyError: As there.
    """
    spec = registered(name)
    entry = spec.entry_point
    if callable(entry):
        entry = f"{entry.__module__}:{getattr(entry, '__qualname__', type(entry).__qualname__)}"
    return f"{spec.id} of {entry}"


def make_environment(name: str, arguments: Mapping[str, Any], step_limit: int | None) -> "gymnasium.Env[Any, Any]":
    """An environment.

    Args:
        name: As for `registered`.
        arguments: Of the environment.
        step_limit: Longest episode; None: its own.

    Raises:
        StudyError: It is unknown, needs what is not installed, or does not take the arguments.
    """
    import gymnasium

    spec = registered(name)
    try:
        with no_warnings():
            return gymnasium.make(spec, max_episode_steps=step_limit, disable_env_checker=True, **arguments)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise OptionError(_OPTION, f"{name!r} needs a package that is not installed here: {error}") from error
    except TypeError as error:
        raise OptionError("env_kwargs", f"{shown(dict(arguments))} do not suit {name!r}: {error}") from error
    except Exception as error:
        raise OptionError(_OPTION, f"{name!r} cannot be made: {type(error).__name__}: {error}") from error


def source_digest(name: str) -> str | None:
    """SHA-256 of the file that registers an environment, so that a change of it is noticed; None if none is named.

    Args:
        name: As for `registered`.
    """
    path = Path(name.rpartition(":")[0]).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".py" and path.is_file() else None


def check_registered(name: str) -> None:
    """Raise if there is surely no such environment: Gymnasium is installed here, the name is plain, and it is unknown.

    Args:
        name: As for `registered`.

    Raises:
        StudyError: There is none.
    """
    if ":" not in name and find_spec("gymnasium") is not None:
        registered(name)


def _unknown(name: str, plain: str) -> OptionError:
    import gymnasium

    hint = did_you_mean(plain, gymnasium.registry)
    return OptionError(
        _OPTION,
        f"there is no environment {name!r}; {hint or 'see gymnasium.registry for names'} "
        "(one of your own is file.py:name or module:name, where importing that registers it)",
    )


def _import(where: str, name: str) -> None:
    try:
        import_location(where, name)
    except WorkerSpecError as error:
        raise OptionError(_OPTION, str(error).removeprefix("worker ")) from error


def interface_of(name: str, environment: "gymnasium.Env[Any, Any]") -> Interface:
    """What an agent needs to know of an environment.

    Args:
        name: For messages.
        environment: The environment.

    Raises:
        StudyError: Its observations or actions are of a kind that agents of this target cannot deal with.
    """
    from gymnasium.spaces import Box, Discrete

    seen, done = environment.observation_space, environment.action_space
    if isinstance(done, Discrete):
        form = ActionForm("discrete", int(done.n), start=int(done.start))
    elif isinstance(done, Box) and np.issubdtype(done.dtype, np.floating):
        bounded = bool(np.isfinite(done.low).all() and np.isfinite(done.high).all())
        low, high = (tuple(map(float, bound.ravel())) if bounded else () for bound in (done.low, done.high))
        form = ActionForm("continuous", int(np.prod(done.shape)), low=low, high=high, shape=tuple(done.shape))
    else:
        raise OptionError(
            _OPTION,
            f"actions of {name!r} are {done}; ppo can take one of several (Discrete) or numbers (Box of floats)",
        )
    if isinstance(seen, Discrete):
        return Interface(int(seen.n), form, is_category=True, first_category=int(seen.start))
    if isinstance(seen, Box) and len(seen.shape) == 1:
        return Interface(int(seen.shape[0]), form)
    raise OptionError(
        _OPTION,
        f"observations of {name!r} are {seen}; ppo can see a row of numbers (Box with one axis) or one of several "
        "(Discrete); register the environment with a wrapper, such as gymnasium.wrappers.FlattenObservation",
    )


def check_length(name: str, environment: "gymnasium.Env[Any, Any]") -> None:
    """Raise unless episodes have a longest length: where they are counted, one that never ends would be for ever.

    Args:
        name: For messages.
        environment: The environment.

    Raises:
        StudyError: They have none.
    """
    if environment.spec is None or environment.spec.max_episode_steps is None:
        raise OptionError(
            "max_episode_steps",
            f"{name!r} does not say how long an episode may be; write a number, so that each of them ends",
        )


def solved_return(name: str, environment: "gymnasium.Env[Any, Any]") -> float:
    """Mean return at which an environment counts as solved; for CartPole that of the longest episodes.

    Args:
        name: For messages.
        environment: The environment.

    Raises:
        StudyError: It does not say.
    """
    spec = environment.spec
    if spec is not None and spec.id.startswith("CartPole-") and spec.max_episode_steps is not None:
        return float(spec.max_episode_steps)
    if spec is None or spec.reward_threshold is None:
        raise OptionError(
            "solved_at",
            f"{name!r} does not say at which return it is solved; write a number, or take `loss: final_return` or "
            "`loss: area`",
        )
    return float(spec.reward_threshold)
