"""Reading the model that a study leaves."""

from pathlib import Path

from bohb_service.workers.tabular.saved import SavedModel, load_model

from .model import read_network
from .options import TARGET


def load(path: Path | str) -> SavedModel:
    """The model in a folder that a study or an estimator left.

    Args:
        path: The folder, as the results of the study name it.

    Raises:
        StudyError: There is no such model, or it is damaged or another target's.
    """
    return load_model(path, TARGET, read_network)
