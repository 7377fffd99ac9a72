"""The members of an ensemble as one model that predicts from rows as the user gives them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bohb_service.workers.tabular.saved import Member, SavedModel
from bohb_service.workers.tabular.task import Task

from .evaluated import Chosen
from .inputs import TrainingTable
from .prior import Prior


def outward_reader(
    load: Callable[[Path], SavedModel], table: TrainingTable, task: Task
) -> Callable[[Path], SavedModel]:
    """Reads models that learned from the numbers in a file, as models of what the user gave.

    Args:
        load: Reads what a worker saved.
        table: What the user gave, and how it was written.
        task: What is predicted, with the user's labels.
    """

    def read(path: Path) -> SavedModel:
        saved = load(path)
        members = (replace(member, encoder=table.outward(member.encoder)) for member in saved.members)
        return SavedModel(task, tuple(members), saved.facts)

    return read


def combined(members: Sequence[Chosen], table: TrainingTable, task: Task) -> SavedModel:
    """All that is averaged as one model; without members, one that predicts the shares of the classes or the mean.

    Args:
        members: Of the ensemble.
        table: The training rows.
        task: What is predicted.
    """
    if not members:
        return SavedModel(task, (Member(1.0, table.encoder, Prior.of(table.target, task)),), {})
    flat = [
        Member(chosen.weight * member.weight, member.encoder, member.model)
        for chosen in members
        for member in chosen.model.members
    ]
    return SavedModel(task, tuple(flat), {**members[0].model.facts, "members": [_facts(chosen) for chosen in members]})


def _facts(chosen: Chosen) -> dict[str, Any]:
    trial = chosen.trial
    config = dict(trial.config)
    return {"weight": chosen.weight, "config": config, "budget": trial.budget, "validation_loss": trial.loss}
