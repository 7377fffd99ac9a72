"""All learners; a new one is one more entry in the tuple of its family."""

from collections.abc import Collection
from importlib.util import find_spec

from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.checks import OptionError
from bohb_service.workers.sklearn.cash.components import Learner
from bohb_service.workers.tabular.task import Kind

from .bayes import BAYES
from .boosting import BOOSTING
from .kernels import KERNELS
from .linear import LINEAR
from .neural import NEURAL
from .trees import TREES

LEARNERS = (*TREES, *BOOSTING, *KERNELS, *NEURAL, *LINEAR, *BAYES)
"""Every learner; the first of a kind is the default."""


def learner_names() -> tuple[str, ...]:
    """Names of all learners, installed or not."""
    return tuple(dict.fromkeys(learner.name for learner in LEARNERS))


def is_installed(learner: Learner) -> bool:
    """Whether the learner's package can be imported here."""
    return learner.package is None or find_spec(learner.package) is not None


def choose_learners(
    kind: Kind, included: Collection[str] | None = None, excluded: Collection[str] = ()
) -> tuple[Learner, ...]:
    """The learners of a space, in the order of the registry.

    What belongs to a package that is not installed is left out, unless it is asked for by name: on machines with the
    same packages the space is the same.

    Args:
        kind: What is predicted.
        included: Names; None for all.
        excluded: Names.

    Raises:
        StudyError: A name is unknown, not for this kind, or its package is not installed; or none is left.
    """
    of_kind = {learner.name: learner for learner in LEARNERS if kind in learner.kinds}
    for key, names in (("learners", included or ()), ("exclude_learners", excluded)):
        for name in names:
            _check_name(key, name, kind, of_kind)
    chosen = []
    for name, learner in of_kind.items():
        if name in excluded or (included is not None and name not in included):
            continue
        if not is_installed(learner):
            if included is None:
                continue
            raise OptionError(
                "learners",
                f"{name} needs the package {learner.package}; install it with: pip install 'bohb-service[boosting]'",
            )
        chosen.append(learner)
    if not chosen:
        raise OptionError(
            "exclude_learners" if excluded else "learners", "no learner is left; exclude fewer, or include more"
        )
    return tuple(chosen)


def _check_name(key: str, name: str, kind: Kind, of_kind: Collection[str]) -> None:
    if name in of_kind:
        return
    if name in learner_names():
        if key == "exclude_learners":
            return
        raise OptionError(key, f"{name} cannot do a {kind}; choose from: {', '.join(of_kind)}")
    hint = did_you_mean(name, of_kind)
    raise OptionError(key, f"no learner {name!r}; {f'{hint} ' if hint else ''}choose from: {', '.join(of_kind)}")
