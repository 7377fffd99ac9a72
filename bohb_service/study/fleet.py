"""The section ``fleet`` of a study file: what starts the workers, and how many of them."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from bohb_service.study.problems import MisplacedError, show
from bohb_service.study.sections import Count, Section, Whole

_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_OWN_OPTIONS = {
    "array": "the number of workers follows the demand; see fleet.workers",
    "job-name": "jobs of a run are found again by their name",
    "output": "logs are kept in the run directory",
    "error": "logs are kept in the run directory",
    "wrap": "the script starts a worker",
    "parsable": "it is set already",
    "test-only": "use `bohb-master run --print`",
    "wait": "the master watches the jobs",
}

Line = Annotated[str, Field(min_length=1)]


def _one_line(text: str) -> str:
    """The text, if it is printable and on one line."""
    if not text or not text.isprintable():
        raise ValueError(f"{show(text)} must be one line of printable characters; write it on one line")
    return text


class Slurm(Section):
    """How workers are started with SLURM."""

    options: dict[str, Any] = Field(default_factory=dict, examples=[{"partition": "gpu", "time": "4:00:00"}])
    """options of sbatch by their long names; true for those without a value, a list for repeated ones"""
    setup: Annotated[tuple[Line, ...], Field(strict=False)] = Field((), examples=[["module load cuda"]])
    """lines of shell that each job runs before its worker"""
    python: str | None = Field(None, examples=["/opt/bohb/bin/python"])
    """Python interpreter on the nodes; null is the one that runs the master"""

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            path = ("fleet", "slurm", "options", key)
            if not _OPTION.fullmatch(key):
                raise MisplacedError(
                    path, f"{show(key)} is no long name of an option of sbatch; write e.g. partition, without dashes"
                )
            if key in _OWN_OPTIONS:
                raise MisplacedError(path, f"cannot be set, since {_OWN_OPTIONS[key]}; remove it")
            for item in value if isinstance(value, list) else [value]:
                is_sound = isinstance(item, (str, int, float)) and (not isinstance(item, bool) or item)
                if not is_sound or not str(item).isprintable() or '"' in str(item) or item == "":
                    raise MisplacedError(
                        path,
                        f"{show(value)} cannot be given to sbatch; write text without quotes, a number, true, "
                        "or a list of those",
                    )
        return options

    @field_validator("setup")
    @classmethod
    def _check_setup(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_one_line(line) for line in lines)

    @field_validator("python")
    @classmethod
    def _check_python(cls, python: str | None) -> str | None:
        return None if python is None else _one_line(python)


class Fleet(Section):
    """What starts the workers of a study, beside those that are started by hand."""

    workers: Count | None = Field(None, examples=[16])
    """most workers at once; `--workers` overrides it"""
    min_workers: Whole = Field(0, ge=0, examples=[1])
    """workers that are kept even when there is nothing to do for them"""
    idle_seconds: float = Field(60.0, ge=0, examples=[60])
    """time without work after which a worker may leave, in seconds"""
    poll_seconds: float = Field(10.0, ge=0.2, examples=[10])
    """time between two looks at the demand and at the cluster, in seconds"""
    slurm: Slurm = Field(default_factory=Slurm, examples=[{"options": {"partition": "gpu"}}])
    """how workers are started with SLURM"""


FLEET_SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    ("fleet",): Fleet,
    ("fleet", "slurm"): Slurm,
}
"""The types of the mappings of known keys in this section, by their paths."""
