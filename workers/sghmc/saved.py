"""The model that a study or an estimator leaves."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bohb_service.errors import StudyError
from bohb_service.workers.tabular.columns import FloatArray
from bohb_service.workers.tabular.saved import Member, SavedModel, as_frame, load_model

from .model import SampledNetworks, read_networks
from .options import TARGET
from .predictive import Predictive

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class BayesianModel(SavedModel):
    """A `SavedModel` that knows how sure it is.

    `predict` gives labels, or means; `predict_proba` probabilities of the classes.
    """

    __slots__ = ()

    def average(self, data: "pd.DataFrame | NDArray[Any]") -> FloatArray:
        """Probabilities, or means.

        Args:
            data: As for `predict`.

        Raises:
            StudyError: As `predict`.
        """
        return super().average(data) if self.task.is_classification else self.predictive(data).mean

    def predict_dist(self, X: "pd.DataFrame | NDArray[Any]") -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the predictive distribution of a regression, each of shape ``(n,)``.

        Args:
            X: As for `predict`.

        Raises:
            StudyError: As `predict`; or the model predicts classes.
        """
        found = self.predictive(X)
        return found.mean, found.variance

    def predictive(self, X: "pd.DataFrame | NDArray[Any]") -> Predictive:
        """The predictive distribution of a regression, which has intervals and draws too.

        Args:
            X: As for `predict`.

        Raises:
            StudyError: As `predict`; or the model predicts classes.
        """
        if self.task.is_classification:
            raise StudyError("a classification has no mean and variance; call predict_proba")
        frame = as_frame(X, self.feature_names)
        found = [
            (member.weight, networks_of(member).predictive(member.encoder.transform(frame))) for member in self.members
        ]
        return Predictive(
            np.concatenate([part.means for _, part in found]),
            np.concatenate([part.noise for _, part in found]),
            np.concatenate([weight * part.weights for weight, part in found]),
        )


def networks_of(member: Member) -> SampledNetworks:
    """The networks of a member of a model of this target."""
    assert isinstance(member.model, SampledNetworks)
    return member.model


def load(path: Path | str) -> BayesianModel:
    """The model in a folder that a study or an estimator left.

    Args:
        path: The folder, as the results of the study name it.

    Raises:
        StudyError: There is no such model, or it is damaged or another target's.
    """
    saved = load_model(path, TARGET, read_networks)
    return BayesianModel(saved.task, saved.members, saved.facts)
