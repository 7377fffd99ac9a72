"""A user's class behind one interface, whichever style it is written in.

Two styles of `compute` are called: ours, ``compute(config, budget, context)``, and that of HpBandSter,
``compute(config_id, config, budget, working_directory, **kwargs)``. Parameter names decide.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from bohb_service.clock import Clock, SystemClock
from bohb_service.errors import BohbError, WorkerSpecError
from bohb_service.scheduler.outcomes import Curve, Outcome
from bohb_service.suggestions import did_you_mean
from bohb_service.worker.base import EvaluationContext, Worker
from bohb_service.worker.plain import to_plain
from bohb_service.worker.verdicts import judge_exception, judge_refit, judge_result, message_of, shown

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

Evaluate = Callable[[Mapping[str, Any], float, EvaluationContext], Any]

_LEGACY_NAMES = frozenset({"config_id", "working_directory"})
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Objective:
    """One constructed worker.

    Args:
        worker: The user's class.
        options: Keyword arguments of its constructor.
        clock: Measures evaluations.

    Raises:
        WorkerSpecError: The class cannot be constructed with these options, or its `compute` cannot be called.
    """

    def __init__(self, worker: type[Worker], options: Mapping[str, Any], clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._instance = _construct(worker, options)
        is_ours = issubclass(worker, Worker)
        self._compute = _caller(self._instance.compute, worker, is_ours=is_ours)
        refit = self._instance.refit if overrides_refit(worker) else _no_refit
        self._refit = _caller(refit, worker, is_ours=is_ours)

    def set_up(self) -> None:
        """Run the user's `setup`, if there is one; raises whatever it raises."""
        _call_if_defined(self._instance, "setup")

    def tear_down(self) -> None:
        """Run the user's `teardown`, if there is one; raises whatever it raises."""
        _call_if_defined(self._instance, "teardown")

    def evaluate(
        self,
        config: Mapping[str, Any],
        context: EvaluationContext,
        curve: Callable[[], Curve] = tuple,
        *,
        refit: bool = False,
    ) -> Outcome:
        """The outcome of one evaluation; raises nothing that user code can cause.

        Args:
            config: Values of the active hyperparameters.
            context: Identity, budget, seed, directory and curve callback.
            curve: Gives the points reported so far.
            refit: Call `refit` instead of `compute`.
        """
        started = self._clock.monotonic()
        try:
            if refit:
                value = self._refit(config, context.budget, context)
                return judge_refit(value, self._clock.monotonic() - started, curve())
            value = self._compute(config, context.budget, context)
            return judge_result(value, self._clock.monotonic() - started, curve(), context.continued_from)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its outcome
            return judge_exception(error, self._clock.monotonic() - started, curve())


def overrides_refit(worker: type[Worker]) -> bool:
    """Whether the class defines how the incumbent is trained at the end."""
    refit = getattr(worker, "refit", None)
    return callable(refit) and refit is not Worker.refit


def own_space(worker: type[Worker], options: Mapping[str, Any]) -> "ConfigurationSpace | None":
    """The class's own search space, or None if it has none.

    Looks for ``configuration_space(**options)``, then for ``get_configspace()``; of the options only
    those are passed that the function takes.

    Raises:
        WorkerSpecError: It raised, or returned something that is no ``ConfigurationSpace``.
    """
    for name in ("configuration_space", "get_configspace"):
        function = getattr(worker, name, None)
        if not callable(function) or function is Worker.configuration_space:
            continue
        if inspect.isfunction(inspect.getattr_static(worker, name)):
            raise WorkerSpecError(f"{worker.__name__}.{name} needs an instance; make it a @staticmethod")
        try:
            space = function(**_accepted(function, options))
        except NotImplementedError:
            continue
        except Exception as error:
            raise WorkerSpecError(f"{worker.__name__}.{name} raised {message_of(error)}") from error
        if not hasattr(space, "to_serialized_dict"):
            raise WorkerSpecError(
                f"{worker.__name__}.{name} returned {shown(space)}; return a ConfigSpace.ConfigurationSpace"
            )
        return cast("ConfigurationSpace", space)
    return None


def recommended(worker: type[Worker], options: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The configurations that the class recommends to try first, or None if it has no word on that.

    Asks ``initial_configurations(**options)``; of the options only those are passed that the function takes.

    Raises:
        WorkerSpecError: It raised, or returned something that is no list of mappings.
    """
    function = getattr(worker, "initial_configurations", None)
    if not callable(function) or function is Worker.initial_configurations:
        return None
    try:
        found = to_plain(list(function(**_accepted(function, options))), "initial_configurations")
    except NotImplementedError:
        return None
    except Exception as error:
        raise WorkerSpecError(f"{worker.__name__}.initial_configurations raised {message_of(error)}") from error
    for configuration in found:
        if not isinstance(configuration, dict):
            raise WorkerSpecError(
                f"{worker.__name__}.initial_configurations has {shown(configuration)} in its list; return mappings "
                "from names of hyperparameters to values"
            )
    return cast("list[dict[str, Any]]", found)


def check_trials(
    worker: type[Worker],
    options: Mapping[str, Any],
    configurations: Sequence[Mapping[str, Any]],
    budgets: Sequence[float],
) -> None:
    """Ask the class whether it can do a study; nothing is asked if it does not define `check_trial`.

    Args:
        worker: The user's class.
        options: Of its constructor.
        configurations: Some of those that may be evaluated, at least one.
        budgets: All that there are, smallest first.

    Raises:
        WorkerSpecError: It cannot be constructed, or refuses a budget or configuration.
    """
    if getattr(worker, "check_trial", Worker.check_trial) is Worker.check_trial:
        return
    instance = _construct(worker, options)
    first, *others = configurations
    trials = [*((first, budget) for budget in budgets), *((config, budgets[-1]) for config in others)]
    for config, budget in trials:
        try:
            instance.check_trial(config, budget)
        except Exception as error:
            reason = str(error) if isinstance(error, BohbError) else f"check_trial raised {message_of(error)}"
            raise WorkerSpecError(f"{worker.__name__}: {reason}") from error


def check_options(worker: type[Worker], options: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments with which the class would be constructed.

    Raises:
        WorkerSpecError: Its signature does not allow these options.
    """
    arguments = dict(options)
    if not issubclass(worker, Worker) and _needs_run_id(worker):
        arguments.setdefault("run_id", "bohb")
    signature = _signature(worker)
    if signature is not None:
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise WorkerSpecError(
                f"{worker.__name__} does not take worker_options {shown(dict(options))}: {error}"
                f"{_close_option(options, signature)}; its signature is {worker.__name__}{signature}"
            ) from error
    return arguments


def _construct(worker: type[Worker], options: Mapping[str, Any]) -> Worker:
    try:
        return worker(**check_options(worker, options))
    except (Exception, SystemExit) as error:
        if isinstance(error, WorkerSpecError):
            raise
        raise WorkerSpecError(
            f"constructing {worker.__name__} with worker_options {shown(dict(options))} "
            f"raised {message_of(error)}; its signature is {worker.__name__}{_signature(worker) or '(...)'}"
        ) from error


def _needs_run_id(worker: type) -> bool:
    """Whether a base class of the predecessor's kind demands the name of the run."""
    for base in worker.__mro__:
        signature = _signature(vars(base)["__init__"]) if "__init__" in vars(base) else None
        parameter = signature.parameters.get("run_id") if signature is not None else None
        if parameter is not None and parameter.default is inspect.Parameter.empty:
            return True
    return False


def _close_option(options: Mapping[str, Any], signature: inspect.Signature) -> str:
    for name in options:
        if name not in signature.parameters and (hint := did_you_mean(name, signature.parameters)):
            return f" ({hint})"
    return ""


def _caller(method: Callable[..., Any], worker: type, *, is_ours: bool) -> Evaluate:
    """A function of (config, budget, context) that calls the user's method in its own style."""
    signature = _signature(method)
    if signature is None:
        return method
    parameters = signature.parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    n_positional = sum(parameter.kind in _POSITIONAL for parameter in parameters.values())
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        n_positional = max(n_positional, 3)
    is_legacy = bool(_LEGACY_NAMES & parameters.keys()) or (
        not is_ours and takes_any and "context" not in parameters and n_positional < 3
    )
    if is_legacy:
        names = [name for name in (*sorted(_LEGACY_NAMES), "config", "budget") if takes_any or name in parameters]
        return _legacy_caller(method, [*names, "context"] if "context" in parameters else names)
    if n_positional < 2:
        raise WorkerSpecError(
            f"{worker.__name__}.{method.__name__}{signature} cannot be called; "
            f"write {method.__name__}(self, config, budget, context)"
        )
    if n_positional >= 3:
        return method
    if takes_any or "context" in parameters:
        return lambda config, budget, context: method(config, budget, context=context)
    return lambda config, budget, _context: method(config, budget)


def _legacy_caller(method: Callable[..., Any], names: list[str]) -> Evaluate:
    def call(config: Mapping[str, Any], budget: float, context: EvaluationContext) -> Any:
        values = {
            "config_id": (0, 0, context.configuration_id),
            "config": config,
            "budget": budget,
            "working_directory": str(context.directory),
            "context": context,
        }
        return method(**{name: values[name] for name in names})

    return call


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature, or None for compiled code that does not tell."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _accepted(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    signature = _signature(function)
    if signature is None:
        return dict(options)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        return dict(options)
    return {name: value for name, value in options.items() if name in signature.parameters}


def _no_refit(_config: Mapping[str, Any], _budget: float, _context: EvaluationContext) -> Any:
    raise NotImplementedError("the study asks for a refit, but its worker does not define one")


def _call_if_defined(instance: object, name: str) -> None:
    method = getattr(instance, name, None)
    if callable(method):
        method()
