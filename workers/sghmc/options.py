"""The options that only this target has, checked before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from bohb_service.workers.common.checks import OptionError, number, one_of
from bohb_service.workers.common.shown import pythonic, shown

TARGET = "sghmc"
"""Name of the target in study files and saved models."""

NOISE_PRIORS = ("weak", "published")

_MOST = 10**9


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How chains are run.

    Attributes:
        noise_prior: ``weak``: the log variance of the noise starts at the residual variance of a linear fit, and its
            prior is wide around it. ``published``: that of the benchmark, for data almost without noise.
        adaptation: The scales adapt in the first ``burn_in * adaptation`` steps, whatever the budget, so that a chain
            goes on when its configuration is promoted; at most the smallest budget. Or ``budget``: in the first
            ``burn_in * budget`` steps, as published; then only the adaptation goes on.
        chains: Number of independent chains; a step moves all of them.
        batch_size: Rows that a step of a chain looks at; at most all.
        keep_every: The positions after each so many steps are the sample.
        steps: Of a chain where the budget is something else: folds, or a share of the rows.
        threads: Processor threads.
    """

    noise_prior: Literal["weak", "published"] = "weak"
    adaptation: int | str = 300
    chains: int = 1
    batch_size: int = 20
    keep_every: int = 100
    steps: int = 10_000
    threads: int = 1

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "SamplingOptions":
        """The options of a study file.

        Args:
            options: Those of ``worker_options`` that `OPTION_NAMES` has.

        Raises:
            StudyError: A value is wrong.
        """
        made = cls(**pythonic(options))
        one_of("noise_prior", made.noise_prior, NOISE_PRIORS)
        if isinstance(made.adaptation, str) and made.adaptation != "budget":
            raise OptionError("adaptation", f"must be a number of steps or 'budget', not {shown(made.adaptation)}")
        if not isinstance(made.adaptation, str):
            number("adaptation", made.adaptation, 1, _MOST, is_integer=True)
        number("chains", made.chains, 1, 1024, is_integer=True)
        number("batch_size", made.batch_size, 1, _MOST, is_integer=True)
        number("keep_every", made.keep_every, 1, _MOST, is_integer=True)
        number("steps", made.steps, 1, _MOST, is_integer=True)
        number("threads", made.threads, 1, 1024, is_integer=True)
        return made


OPTION_NAMES = tuple(field.name for field in fields(SamplingOptions))
