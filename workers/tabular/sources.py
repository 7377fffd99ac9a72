"""Where tables come from: files, scikit-learn's built-in data, OpenML, and the one that is shipped."""

import contextlib
import csv
import gzip
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bohb_service.errors import StudyError
from bohb_service.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

BUILT_IN = ("letter", "digits", "breast_cancer", "wine", "iris", "diabetes")
"""Data sets that need no file; ``letter`` is shipped, the others come with scikit-learn."""

LETTER_TEST_ROWS = 4_000
"""The customary split of Frey and Slate (1991): the first 16000 rows train, the last 4000 test."""

_MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
_FORMS = f"use {', '.join(BUILT_IN)}, a file (.csv, .csv.gz, .tsv, .parquet, .npz), or openml:ID"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is in its source.

    Attributes:
        name: How messages call it.
        frame: All columns, the target among them.
        target: Name of the target's column if the source tells, else None.
        n_test: Number of last rows that are customarily the test part; 0 if there is no such custom.
    """

    name: str
    frame: "pd.DataFrame"
    target: str | None = None
    n_test: int = 0


def read_table(source: str) -> Table:
    """The table that a text names.

    Args:
        source: Name of a built-in data set, path of a file, or ``openml:ID``.

    Raises:
        StudyError: There is none, or the file is not what its name says; with file, column and row.
    """
    if source in BUILT_IN:
        return _built_in(source)
    if source.startswith("openml:"):
        return _openml(source)
    path = Path(source).expanduser()
    endings = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    reader = _READERS.get(endings)
    if reader is None:
        hint = did_you_mean(source, BUILT_IN)
        raise StudyError(f"data: {source!r} is no data set; {f'{hint} ' if hint else ''}{_FORMS}")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise StudyError(f"data: {source!r} {what} (looked at {path.absolute()}); {_FORMS}")
    try:
        table = reader(path)
    except OSError as error:
        raise StudyError(f"data: {source!r} cannot be read: {error}") from error
    if table.frame.empty:
        raise StudyError(f"{source}: there are no rows in it")
    return table


def letter() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """UCI Letter Recognition in its original order: features 0..15, shape ``(20000, 16)``, and classes 0..25.

    References:
        Frey, Slate (1991), "Letter Recognition Using Holland-Style Adaptive Classifiers", Machine Learning 6(2);
        https://doi.org/10.24432/C5ZP40, CC BY 4.0.
    """
    source = resources.files(__package__).joinpath("data", "letter.npz")
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return archive["features"], archive["labels"]


def _built_in(name: str) -> Table:
    import pandas as pd

    if name == "letter":
        features, labels = letter()
        frame = pd.DataFrame(features.astype(np.float64), columns=[f"x{i}" for i in range(features.shape[1])])
        frame["target"] = [chr(ord("A") + int(label)) for label in labels]
        return Table(name, frame, "target", LETTER_TEST_ROWS)
    from sklearn import datasets

    return Table(name, getattr(datasets, f"load_{name}")(as_frame=True).frame, "target")


def _openml(source: str) -> Table:
    from sklearn.datasets import fetch_openml

    number = source.removeprefix("openml:")
    if not number.isdecimal():
        raise StudyError(f"data: {source!r}: an OpenML id is a number, e.g. openml:40996")
    try:
        bunch = fetch_openml(data_id=int(number), as_frame=True, parser="auto")
    except Exception as error:
        raise StudyError(
            f"data: {source!r} cannot be fetched ({type(error).__name__}: {error}); is there a network, and an OpenML "
            "data set of this id? Or save it as a CSV file and name that"
        ) from error
    target = bunch.target_names[0] if bunch.target_names else None
    return Table(source, bunch.frame, target)


def _csv(path: Path) -> Table:
    """Comma or tab separated, UTF-8, with a heading; ``?`` and the usual words are missing values."""
    import pandas as pd

    is_tab = ".tsv" in path.name.lower()
    _check_heading(path, "\t" if is_tab else ",")
    try:
        frame = pd.read_csv(
            path,
            sep="\t" if is_tab else ",",
            na_values=list(_MISSING),
            keep_default_na=False,
            skipinitialspace=True,
            low_memory=False,  # types are those of whole columns, not of pieces of a large file
        )
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 at byte {error.start}; convert it, e.g. with iconv -t utf-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, gzip.BadGzipFile) as error:
        raise StudyError(f"{path}: {_parser_words(error)}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise StudyError(f"{path}, row 1: more cells than the heading has columns; name every column")
    return Table(str(path), frame)


def _parser_words(error: Exception) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found:
        return f"line {found[2]} has {found[3]} cells, but the heading has {found[1]} columns"
    return f"cannot be read as a table: {str(error).strip().rstrip('.')}"


def _check_heading(path: Path, separator: str) -> None:
    """Refuse columns without a name, twice the same, and a heading that is a row of numbers."""
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file, delimiter=separator, skipinitialspace=True), [])
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 at byte {error.start}; convert it, e.g. with iconv -t utf-8") from error
    except (EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise StudyError(f"{path}: cannot be read as a table: {error}") from error
    if not names:
        raise StudyError(f"{path}: the file is empty")
    for position, name in enumerate(names):
        if not name.strip():
            raise StudyError(f"{path}, line 1: column {position + 1} has no name")
        if name in names[:position]:
            raise StudyError(f"{path}, line 1: two columns are called {name!r}; rename one")
    if all(_is_number(name) for name in names):
        raise StudyError(f"{path}, line 1: a heading is needed, and these are numbers: {', '.join(names[:5])}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parquet(path: Path) -> Table:
    import pandas as pd

    try:
        return Table(str(path), pd.read_parquet(path))
    except ImportError as error:
        raise StudyError(f"{path}: Parquet needs pyarrow; pip install 'bohb-service[parquet]'") from error
    except (ValueError, OSError) as error:
        raise StudyError(f"{path}: cannot be read as Parquet: {error}") from error


def _npz(path: Path) -> Table:
    """Arrays ``X``, shape ``(n, d)``, and ``y``, shape ``(n,)``; optional names of the columns ``feature_names``."""
    import zipfile

    import pandas as pd

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise StudyError(f"{path}: cannot be read as NPZ without pickled objects: {error}") from error
    for name, ndim in (("X", 2), ("y", 1)):
        if name not in arrays:
            raise StudyError(f"{path}: there is no array {name!r}; there are: {', '.join(arrays) or 'none'}")
        if arrays[name].ndim != ndim:
            raise StudyError(f"{path}: {name} has {arrays[name].ndim} dimensions, not {ndim}")
    features, target = arrays["X"], arrays["y"]
    if len(features) != len(target):
        raise StudyError(f"{path}: X has {len(features)} rows and y {len(target)}")
    names = [str(name) for name in arrays.get("feature_names", [f"x{i}" for i in range(features.shape[1])])]
    if len(names) != features.shape[1] or len(set(names)) != len(names) or "target" in names:
        raise StudyError(f"{path}: feature_names must be {features.shape[1]} different names, none of them 'target'")
    frame = pd.DataFrame(features, columns=names)
    if features.dtype.kind in "US":  # one type for the whole array: text, of which some columns are numbers
        frame = frame.mask(frame.isin(_MISSING))
        for name in names:
            with contextlib.suppress(ValueError):
                frame[name] = pd.to_numeric(frame[name])
    return Table(str(path), frame.assign(target=target), "target")


_READERS = {
    ".csv": _csv,
    ".tsv": _csv,
    ".csv.gz": _csv,
    ".tsv.gz": _csv,
    ".parquet": _parquet,
    ".npz": _npz,
}
