"""The options that only this target has, checked before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bohb_service.workers.common.checks import number, one_of

from .spaces import SPACES

TARGET = "autonet"
"""Name of the target in study files and saved models."""

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How networks are searched and trained.

    Attributes:
        space: One of `SPACES`.
        horizon: Most epochs of a training, which the schedules of the learning rate span; write the study's largest
            budget here.
        early_stopping: Epochs without improvement on rows set aside from the training rows that end a training; 0 for
            no early stopping.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Processor threads of one training.
    """

    space: str = "small"
    horizon: int = 50
    early_stopping: int = 0
    device: str = "auto"
    threads: int = 1

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "NetworkOptions":
        """The options of a study file.

        Args:
            options: Those of ``worker_options`` that `OPTION_NAMES` has.

        Raises:
            StudyError: A value is wrong.
        """
        made = cls(**options)
        one_of("space", made.space, SPACES)
        one_of("device", made.device, DEVICES)
        number("horizon", made.horizon, 1, 10**6, is_integer=True)
        number("early_stopping", made.early_stopping, 0, 10**6, is_integer=True)
        number("threads", made.threads, 1, 1024, is_integer=True)
        return made


OPTION_NAMES = tuple(field.name for field in fields(NetworkOptions))
