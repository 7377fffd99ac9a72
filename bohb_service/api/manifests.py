"""Writes a study as a folder of manifests for Kubernetes, with all that they refer to."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from bohb_service.clock import SystemClock
from bohb_service.errors import StudyError
from bohb_service.fleet.choice import size_of
from bohb_service.fleet.kubernetes import CREDENTIALS_FOLDER, PORT, STUDY_FILE, manifests, master_hosts
from bohb_service.security.authority import make_credentials
from bohb_service.security.private_files import complete_folder
from bohb_service.study import Study
from bohb_service.study.worker_name import split_worker

_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
"""Names of files that Kubernetes can hold."""


class _Dumper(yaml.SafeDumper):
    """Writes each value out where it stands."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Whether no value is written as a reference to another one."""
        return True


def write_manifests(study: Study, folder: Path, workers: int = 0) -> list[Path]:
    """The files of a new folder that kustomize can use, credentials included; only its owner can read it.

    Args:
        study: The study.
        folder: Must not exist, or be empty.
        workers: How many workers; 0 leaves it to the study file.

    Raises:
        StudyError: The study refers to what no container has, nothing says how many workers there shall be, or the
            folder cannot be made.
    """
    size = size_of(study.fleet, workers)
    if study.warm_start:
        raise StudyError("warm_start: earlier runs of this machine are not in the cluster; leave the key out")
    name = split_worker(study.worker)
    objective = Path(name.target) if name.is_file else None
    if objective is not None and not _KEY.fullmatch(objective.name):
        raise StudyError(
            f"worker: the file name {objective.name!r} cannot be a key in Kubernetes; rename it, with letters, digits, "
            "'-', '_' and '.' only"
        )
    content = study.model_dump(mode="json", exclude={"fleet", "warm_start"})
    if objective is not None:
        content["worker"] = f"{objective.name}:{name.class_name}"
    settings = study.fleet.kubernetes
    if settings.metrics_port == PORT:
        raise StudyError(
            f"fleet.kubernetes.metrics_port: {PORT} is where the master listens; choose another one, e.g. 9100"
        )
    files = manifests(study.name, settings, size.most, objective.name if objective else None, size.slots)
    if folder.exists() and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise StudyError(f"{folder} exists and is not empty; give another folder, or remove it with its credentials")
    try:
        with complete_folder(folder) as draft:
            for path, manifest in files.items():
                (draft / path).parent.mkdir(exist_ok=True)
                documents = manifest if isinstance(manifest, list) else [manifest]
                (draft / path).write_text(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False))
            base = draft / "base"
            (base / STUDY_FILE).write_text(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True))
            if objective is not None:
                shutil.copyfile(objective, base / objective.name)
            hosts = master_hosts(study.name, settings.namespace)
            make_credentials(base / CREDENTIALS_FOLDER, hosts, clock=SystemClock())
            (draft / ".gitignore").write_text(f"{CREDENTIALS_FOLDER}/\n")
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {error.strerror or error}; give another folder") from error
    return sorted(path for path in folder.rglob("*") if path.is_file() and CREDENTIALS_FOLDER not in path.parts)
