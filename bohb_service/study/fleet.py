"""The section ``fleet`` of a study file: what starts the workers, and how many of them."""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from bohb_service.study.problems import MisplacedError, show
from bohb_service.study.sections import Count, Section, Whole

_OPTION = re.compile(r"[a-z][a-z0-9-]*")
_COMMAND = re.compile(r"[\w.+-]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OWN_OPTIONS = {
    "clusters": "tasks are looked for in the cluster of this machine; run the master on a head node of the other one",
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


def _full_path(path: str) -> str:
    """A path on other machines, which no shell makes complete there."""
    if not path.startswith("/") or "$" in path:
        raise ValueError(f"{show(path)} is used as it stands on other machines; write the full path, e.g. /home/me/...")
    return _one_line(path)


class Slurm(Section):
    """How workers are started with SLURM."""

    options: dict[str, Any] = Field(default_factory=dict, examples=[{"partition": "gpu", "time": "4:00:00"}])
    """options of sbatch by their long names; true for those without a value, a list for repeated ones"""
    setup: Annotated[tuple[Line, ...], Field(strict=False)] = Field((), examples=[["module load cuda"]])
    """lines of shell that each job runs before its worker"""
    folder: Annotated[Path, Field(strict=False)] | None = Field(None, examples=["/shared/me/logs"])
    """folder for logs that nodes see, where they do not see the run directory; the master is found by its address"""
    credentials: str | None = Field(None, examples=["/home/me/keys/worker"])
    """with ``folder``: credentials on the nodes, a full path; null is where they are here"""
    python: str | None = Field(None, examples=["/opt/bohb/bin/python"])
    """Python interpreter on the nodes, a full path or a name; null is the one that runs the master"""

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
        return python if python is None or _COMMAND.fullmatch(python) else _full_path(python)

    @field_validator("credentials")
    @classmethod
    def _check_credentials(cls, credentials: str | None) -> str | None:
        return None if credentials is None else _full_path(credentials)

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if self.credentials is not None and self.folder is None:
            raise MisplacedError(
                ("fleet", "slurm", "credentials"),
                "is given without folder, so workers take the credentials of the run directory; remove it, or give "
                "folder where nodes do not see the run directory",
            )
        return self


class Dask(Section):
    """How workers run inside a Dask cluster."""

    scheduler: str | None = Field(None, examples=["tcp://head.example.org:8786"])
    """address of Dask's scheduler"""
    scheduler_file: Annotated[Path, Field(strict=False)] | None = Field(None, examples=["/shared/scheduler.json"])
    """file in which Dask's scheduler wrote its address"""
    resources: dict[str, float] = Field(default_factory=dict, examples=[{"GPU": 1}])
    """what each worker takes of the resources that Dask's workers declare"""
    credentials: str | None = Field(None, examples=["/home/me/keys/worker"])
    """credentials on the machines of Dask's workers, a full path; null is where they are here"""

    @field_validator("credentials")
    @classmethod
    def _check_credentials(cls, credentials: str | None) -> str | None:
        return None if credentials is None else _full_path(credentials)

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.scheduler is not None and self.scheduler_file is not None:
            raise MisplacedError(("fleet", "dask", "scheduler_file"), "is given beside scheduler; remove one of them")
        return self


class Kubernetes(Section):
    """What the manifests for Kubernetes say."""

    image: str = Field("bohb-service:cpu", min_length=1, examples=["registry.example.org/bohb-service:cpu"])
    """image of master and workers, built from the Dockerfile"""
    namespace: str = Field("default", examples=["tuning"])
    """namespace of everything"""
    storage: str = Field("2Gi", min_length=1, examples=["2Gi"])
    """size of the volume with the run directory"""
    storage_class: str | None = Field(None, examples=["fast"])
    """storage class of that volume; null is the cluster's own; it must be a disk, no network file system"""
    resources: dict[str, str | int] = Field(default_factory=dict, examples=[{"cpu": 2, "nvidia.com/gpu": 1}])
    """what each worker gets, by the cluster's names of resources"""
    metrics_port: int | None = Field(None, ge=1024, le=65535, examples=[9100])
    """port at which the master shows figures for Prometheus; the image needs the extra ``metrics``"""
    grace_seconds: Count = Field(120, examples=[120])
    """time between the announcement of the end of a pod and its end, in seconds; checkpoints must be written by then"""
    node_selector: dict[str, str] = Field(default_factory=dict, examples=[{"pool": "gpu"}])
    """labels of the nodes that workers may run on"""
    tolerations: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = Field(
        (), examples=[[{"key": "nvidia.com/gpu", "operator": "Exists"}]]
    )
    """taints of nodes that workers bear"""
    priority_class: str | None = Field(None, examples=["preemptible"])
    """priority class of workers"""

    @field_validator("namespace")
    @classmethod
    def _check_namespace(cls, namespace: str) -> str:
        if not _LABEL.fullmatch(namespace):
            raise ValueError(
                f"{show(namespace)} cannot be a namespace; use 1 to 63 lower-case letters, digits and '-', "
                "a letter or digit first and last"
            )
        return namespace


class Fleet(Section):
    """What starts the workers of a study, beside those that are started by hand."""

    workers: Count | None = Field(None, examples=[16])
    """most workers at once (places, with ``slots``); `--workers` overrides it"""
    min_workers: Whole = Field(0, ge=0, examples=[1])
    """workers that are kept even when there is nothing to do for them"""
    slots: Count = Field(1, examples=[4])
    """workers that share the place of one, with a GPU each where there are any; ``workers`` counts places"""
    idle_seconds: float = Field(60.0, ge=0, examples=[60])
    """time without work after which a worker may leave, in seconds"""
    poll_seconds: float = Field(10.0, ge=0.2, examples=[10])
    """time between two looks at the demand and at the cluster, in seconds"""
    slurm: Slurm = Field(default_factory=Slurm, examples=[{"options": {"partition": "gpu"}}])
    """how workers are started with SLURM"""
    dask: Dask = Field(default_factory=Dask, examples=[{"scheduler": "tcp://head:8786"}])
    """in which Dask cluster workers run"""
    kubernetes: Kubernetes = Field(default_factory=Kubernetes, examples=[{"image": "bohb-service:cpu"}])
    """what `bohb-master manifests` writes"""


FLEET_SECTIONS: dict[tuple[str, ...], type[BaseModel]] = {
    ("fleet",): Fleet,
    ("fleet", "slurm"): Slurm,
    ("fleet", "dask"): Dask,
    ("fleet", "kubernetes"): Kubernetes,
}
"""The types of the mappings of known keys in this section, by their paths."""
