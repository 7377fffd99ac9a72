"""The content of a study file as one type that checks itself."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from bohb_service.errors import StudyError
from bohb_service.optimizer.brackets import HyperbandSchedule, SizeRule
from bohb_service.study.fleet import FLEET_SECTIONS, Fleet
from bohb_service.study.problems import MisplacedError, show, study_error
from bohb_service.study.sections import Fidelity, Limits, Method, Section, Stop, Whole, check_needs
from bohb_service.study.wording import explain
from bohb_service.study.worker_name import split_worker

MAX_FIRST_RUNG = 10_000_000
"""Most configurations in a bracket; more could not be evaluated to its end."""

MAY_CHANGE = frozenset({"stop", "limits", "needs", "fleet"})
"""What may differ between a run and its resumption; all else makes another study."""


class Study(Section):
    """One optimisation, complete: it needs no other file but the worker's code and earlier runs."""

    name: str = Field(examples=["letter-mlp"], json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"})
    """name of the study"""
    worker: str = Field(examples=["sklearn-mlp"])
    """installed worker (sklearn-mlp), package.module:Class, or path/to/file.py:Class"""
    worker_options: dict[str, Any] = Field(default_factory=dict, examples=[{"dataset": "letter"}])
    """arguments of the worker's constructor"""
    space: dict[str, Any] | None = None
    """search space: a mapping, the path of a .json or .yaml file, or null for the worker's own"""
    fidelity: Fidelity = Field(examples=[{"min": 1, "max": 27}])
    """what a budget is, and its range"""
    method: Method = Field(default_factory=Method, examples=[{"name": "bohb", "eta": 3}], validate_default=True)
    """how configurations are proposed and raced"""
    stop: Stop = Field(default_factory=Stop, examples=[{"brackets": 4}], validate_default=True)
    """when the search ends"""
    seed: Whole = Field(0, ge=0, lt=2**63, examples=[0])
    """seed of all random numbers"""
    limits: Limits = Field(default_factory=Limits, examples=[{"seconds": 600}])
    """what one evaluation may use"""
    needs: Annotated[tuple[dict[str, Any], ...], Field(strict=False), BeforeValidator(check_needs)] = Field(
        (), examples=[{"memory_mb": 4000}, [{"memory_mb": 4000}, {"gpu": 1, "min_budget": 9}]]
    )
    """what workers must have to be given a trial, e.g. gpu, cpus, memory_mb or labels; by budget as a list of rules"""
    initial: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = Field((), examples=[[{"x": 0.5}]])
    """configurations to try first"""
    portfolio: bool = Field(default=False, examples=[True])
    """whether the configurations that the worker recommends are tried first, after those of initial"""
    warm_start: Annotated[tuple[Annotated[Path, Field(strict=False)], ...], Field(strict=False)] = Field(
        (), examples=[["runs/earlier"]]
    )
    """run directories of earlier runs to learn from"""
    refit: bool = Field(default=True, examples=[True])
    """whether the incumbent is trained again at the end, if the worker offers it"""
    fleet: Fleet = Field(default_factory=Fleet, examples=[{"workers": 16}])
    """what starts workers, and how many"""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ValueError(
                f"{show(name)} cannot be a name; use 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first"
            )
        return name

    @field_validator("worker")
    @classmethod
    def _check_worker(cls, worker: str) -> str:
        try:
            split_worker(worker)
        except ValueError as error:
            raise ValueError(f"{show(worker)} {error}") from error
        return worker

    @field_validator("method")
    @classmethod
    def _check_plan(cls, method: Method, info: ValidationInfo) -> Method:
        fidelity: Fidelity | None = info.data.get("fidelity")
        if fidelity is None:
            return method
        try:
            schedule = HyperbandSchedule(
                fidelity.min, fidelity.max, method.eta, SizeRule(method.sizes), fidelity.integer
            )
        except StudyError as error:
            path, _, text = str(error).partition(": ")
            raise MisplacedError(tuple(path.split(".")), text) from error
        size = schedule.bracket(0)[0].size
        if size > MAX_FIRST_RUNG and method.name != "random":
            raise MisplacedError(
                ("fidelity", "min"),
                f"{fidelity.min:.15g} makes brackets that begin with {size} configurations, but {MAX_FIRST_RUNG} are "
                "the most; raise min or lower max",
            )
        return method

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, stop: Stop, info: ValidationInfo) -> Stop:
        method: Method | None = info.data.get("method")
        if method is not None and method.name == "random" and stop.is_default:
            raise ValueError(
                f"must be given, since method 'random' has no natural end; give one of {', '.join(Stop.model_fields)}"
            )
        return stop

    def identity(self) -> str:
        """SHA-256, in hex, of all that defines the study: equal for runs that may continue each other.

        ``stop``, ``limits``, ``needs`` and ``fleet`` are left out: they may change between a run and its resumption.
        Two studies are compared by computing both identities with the same version of this package, since
        a later version may know more options.
        """
        content = self.model_dump(mode="json", exclude=set(MAY_CHANGE))
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The whole study as JSON, for `from_json`."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The study that `to_json` wrote; files it names need not exist.

        Args:
            text: What `to_json` returned, in this or an earlier version.

        Raises:
            StudyError: The text is not a study.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise study_error(explain(error, SECTIONS), "stored study") from error


SECTIONS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Study,
    ("fidelity",): Fidelity,
    ("method",): Method,
    ("stop",): Stop,
    ("limits",): Limits,
    **FLEET_SECTIONS,
}
"""The type of each mapping of known keys, by its path."""
