"""A trained pipeline as the result of an evaluation, in memory and in a folder."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bohb_service.workers.common.surroundings import limited_threads, no_warnings
from bohb_service.workers.tabular.columns import FloatArray

if TYPE_CHECKING:
    from .training import Fitted

_MODEL = "pipeline.skops"


@dataclass(slots=True)
class PipelineModel:
    """A trained configuration.

    Attributes:
        fitted: Its steps and its learner.
        info: Plain data about it.
    """

    fitted: "Fitted"
    info: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of the classes, shape ``(n, classes)``, or values, shape ``(n,)``.

        Args:
            features: As the encoder of the fold makes them.
        """
        with quiet_single_thread():
            return self.fitted.predict(features)

    def save(self, folder: Path) -> None:
        """Write the model into a folder, in the format of skops.

        Args:
            folder: Exists and is empty.

        Raises:
            OSError: The file cannot be written.
        """
        from .storage import dump

        (folder / _MODEL).write_bytes(dump(self.fitted))


def read_pipeline(folder: Path, trusted: Collection[str] = ()) -> PipelineModel:
    """The model that `PipelineModel.save` wrote.

    Args:
        folder: Where to.
        trusted: Full names of types that it may hold beside those of the components.

    Raises:
        StudyError: It holds objects that are not part of such a model.
        OSError: The file cannot be read.
    """
    from .storage import restore

    return PipelineModel(restore((folder / _MODEL).read_bytes(), trusted))


@contextmanager
def quiet_single_thread() -> Iterator[None]:
    """One thread for the numerical libraries inside the block, and no warnings.

    Warnings tell of the configuration, e.g. that its learner has not converged, and there is nobody to read them.
    """
    with limited_threads(1, "sklearn.ensemble"), no_warnings():
        yield
