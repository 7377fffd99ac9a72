"""Study files: what to optimise, how, and when to stop. The only reader of that format.

A file is read strictly (`document`), its paths are resolved (`files`), its content is validated
(`model`, `sections`), and every mistake found on the way is reported at once, in plain words (`problems`, `wording`).
Nothing here imports NumPy or ConfigSpace: the content of a search space is validated elsewhere.
"""

from bohb_service.study.fleet import Dask, Fleet, Kubernetes, Slurm
from bohb_service.study.loader import load_study, parse_study
from bohb_service.study.model import MAY_CHANGE, Study
from bohb_service.study.schema import study_schema
from bohb_service.study.sections import Fidelity, Limits, Method, Stop

__all__ = [
    "MAY_CHANGE",
    "Dask",
    "Fidelity",
    "Fleet",
    "Kubernetes",
    "Limits",
    "Method",
    "Slurm",
    "Stop",
    "Study",
    "load_study",
    "parse_study",
    "study_schema",
]
