"""Estimators of the user's own: found by name, made with a configuration, checked against the task."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from bohb_service.errors import SpaceError, WorkerSpecError
from bohb_service.suggestions import did_you_mean
from bohb_service.worker.loader import import_location
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.tabular.task import Kind

_OPTION = "estimator"


def load_maker(spec: str) -> Callable[..., Any]:
    """The class or function that makes an estimator.

    Args:
        spec: ``package.module:Name`` or ``path/to/file.py:Name``; a relative path starts at the current folder.

    Raises:
        StudyError: There is none of that name, or it cannot be imported.
    """
    location, colon, name = spec.rpartition(":")
    if not colon or not location or not name:
        raise OptionError(_OPTION, f"{spec!r} is neither package.module:Class nor path/to/file.py:Class")
    try:
        module = import_location(location, spec)
    except WorkerSpecError as error:
        raise OptionError(_OPTION, str(error).removeprefix("worker ")) from error
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = did_you_mean(name, known) or "name a class, or a function that returns an estimator"
        raise OptionError(_OPTION, f"{location} has no class or function {name!r}; {hint}")
    made: Callable[..., Any] = found
    return made


def make_estimator(make: Callable[..., Any], parameters: Mapping[str, Any], kind: Kind | None, seed: int) -> Any:
    """An unfitted estimator.

    Parameters that the maker takes are given to it, the others are set afterwards, ``step__name`` for those of a part.
    Whatever is called ``random_state``, at any depth, and is not set gets the seed.

    Args:
        make: A class, or a function that returns an estimator.
        parameters: By name.
        kind: What it shall predict; None if that is not known.
        seed: In ``[0, 2**31)``.

    Raises:
        SpaceError: A parameter is unknown.
        StudyError: The maker returns no estimator, or one for the other kind of task.
    """
    from sklearn.base import is_classifier, is_regressor

    taken = {name: parameters[name] for name in _arguments(make, parameters)}
    estimator = make(**taken)
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
        raise OptionError(_OPTION, f"gives a {type(estimator).__name__}, which has no fit and predict")
    is_other = {"classification": is_regressor, "regression": is_classifier}
    if kind is not None and is_other[kind](estimator):
        other = "regression" if kind == "classification" else "classification"
        raise OptionError(
            _OPTION,
            f"{type(estimator).__name__} is for {other}, and the data set is a {kind}; choose another one, or "
            "set `task`",
        )
    rest = {name: value for name, value in parameters.items() if name not in taken}
    known = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    for name in rest:
        if name not in known:
            hint = did_you_mean(name, known) or f"there are: {', '.join(sorted(known))}"
            raise SpaceError(f"hyperparameter {name!r} is no parameter of {type(estimator).__name__}; {hint}")
    seeds = {
        name: seed
        for name, value in known.items()
        if name.rpartition("__")[2] == "random_state" and value is None and name not in parameters
    }
    return estimator.set_params(**rest, **seeds) if rest or seeds else estimator


def _arguments(make: Callable[..., Any], parameters: Mapping[str, Any]) -> list[str]:
    """Those of the parameters that the maker has arguments for."""
    kinds = inspect.signature(make).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in kinds.values())
    return [name for name in parameters if name in kinds or (takes_any and "__" not in name)]
