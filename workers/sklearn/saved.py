"""Reads final models back."""

from collections.abc import Collection
from pathlib import Path

from bohb_service.workers.tabular.columns import FeatureEncoder
from bohb_service.workers.tabular.saved import SavedModel, load_model
from bohb_service.workers.tabular.task import Task

from .cash.model import PipelineModel, read_pipeline
from .cash.worker import SklearnPipeline


def load(path: Path | str, trusted: Collection[str] = ()) -> SavedModel:
    """The model that a study of the target ``sklearn`` or ``sklearn-estimator`` has left.

    The file is no pickle: it can hold objects of a fixed list of types of scikit-learn, XGBoost and LightGBM only, and
    those that are named here.

    Args:
        path: Its folder, ``model`` in the summary of the study.
        trusted: Full names of further types, such as ``mypackage.models.MyEstimator``, for an estimator of one's own.

    Raises:
        StudyError: There is no such model, it is damaged, or it holds an object of another type.
    """

    def read(folder: Path, task: Task, _: FeatureEncoder) -> PipelineModel:
        model = read_pipeline(folder, trusted)
        if model.fitted.n_outputs != task.n_outputs or bool(len(model.fitted.classes)) != task.is_classification:
            raise ValueError("the outputs of the pipeline are not those of the task")
        return model

    return load_model(path, SklearnPipeline.NAME, read)
