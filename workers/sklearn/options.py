"""The worker's options, checked before anything is loaded."""

from collections.abc import Collection, Mapping
from typing import Any

from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.common.shown import shown

DATASETS = ("letter", "digits", "breast_cancer", "wine", "iris")
"""Names of the data sets; all but ``letter`` come with scikit-learn and are meant for small tests."""

DEFAULT_DATASET = "letter"

_OPTIONS = ("dataset",)


def suggestion(name: object, known: Collection[str]) -> str:
    """What to write instead of an unknown name: the closest known one, if any, and the whole choice."""
    return f"{did_you_mean(name, known)} choose from: {', '.join(known)}".lstrip()


def dataset_option(options: Mapping[str, Any]) -> str:
    """The name of the data set that the options ask for.

    Args:
        options: The worker's options; the only one is ``dataset``, default ``letter``.

    Raises:
        StudyError: An option or the data set is unknown.
    """
    for key in options:
        if key not in _OPTIONS:
            raise OptionError(key, f"unknown to sklearn-mlp; {suggestion(key, _OPTIONS)}")
    name = options.get("dataset", DEFAULT_DATASET)
    if name not in DATASETS:
        raise OptionError("dataset", f"no data set {shown(name)}; {suggestion(name, DATASETS)}")
    return str(name)
