"""AutoMLClassifier, FLAML and scikit-learn's default random forest on ten data sets: balanced error on a test part.

    OMP_NUM_THREADS=1 python scripts/automl_benchmark.py DATA_FOLDER [--time 60] [--only NAME ...] [--out FILE]

DATA_FOLDER holds NAME.csv.gz with a column `target`. A quarter of the rows, stratified, is kept for the test; the
forest takes the time that it takes. Both searches get the same seconds, cores and metric; FLAML's is a function of
ours, as it has no balanced error of its own. `AutoMLClassifier` cross-validates; how FLAML judges is left to it. The
table is written beside this file.
"""

import argparse
import os
import platform
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from bohb_service.workers.sklearn import AutoMLClassifier
from bohb_service.workers.tabular.columns import FeatureEncoder

NAMES = (
    "australian",
    "car",
    "credit_g",
    "hypothyroid",
    "ionosphere",
    "phoneme",
    "segment",
    "spambase",
    "vowel",
    "waveform5000",
)
CORES = 2
SLACK = 0.005


def read(folder: Path, name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Features, text as categories, and labels."""
    frame = pd.read_csv(folder / f"{name}.csv.gz")
    target = frame.pop("target").astype(str)
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype("category")
    return frame, target


def forest(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, seed: int) -> np.ndarray:
    """Predictions of a default random forest, categories as codes."""
    from sklearn.ensemble import RandomForestClassifier

    encoder = FeatureEncoder.fit(X)
    model = RandomForestClassifier(random_state=seed, n_jobs=CORES).fit(encoder.transform(X), y)
    return model.predict(encoder.transform(X_test))


def flaml(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, seed: int, seconds: float) -> np.ndarray:
    """Predictions of FLAML."""
    from flaml import AutoML

    def balanced(X_val: Any, y_val: Any, estimator: Any, *_: Any) -> tuple[float, dict[str, float]]:
        began = time.time()
        loss = 1 - balanced_accuracy_score(y_val, estimator.predict(X_val))
        return loss, {"pred_time": (time.time() - began) / max(1, len(X_val))}

    codes, classes = pd.factorize(y, sort=True)
    search = AutoML()
    search.fit(
        X, codes, task="classification", metric=balanced, time_budget=seconds, n_jobs=CORES, seed=seed, verbose=0
    )
    return classes[search.predict(X_test)]


def ours(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, seed: int, seconds: float) -> np.ndarray:
    """Predictions of `AutoMLClassifier`, cross-validated."""
    search = AutoMLClassifier(
        time_limit=seconds, workers=CORES, metric="balanced_error", resampling="cv", random_state=seed
    )
    return search.fit(X, y).predict(X_test)


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--time", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", default=NAMES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in arguments.only:
        X, y = read(arguments.folder, name)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=arguments.seed)
        row = {"data set": name, "rows": len(X)}
        for title, function, limit in (
            ("random forest", forest, ()),
            ("FLAML", flaml, (arguments.time,)),
            ("AutoMLClassifier", ours, (arguments.time,)),
        ):
            began = time.monotonic()
            predicted = function(X, y, X_test, arguments.seed, *limit)
            row[title] = 1 - balanced_accuracy_score(y_test, predicted)
            row[f"s {title}"] = time.monotonic() - began
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows)
    mine, other, default = table["AutoMLClassifier"], table["FLAML"], table["random forest"]
    made_with = ", ".join(
        f"{name} {version(name.lower())}" for name in ("scikit-learn", "FLAML", "LightGBM", "XGBoost")
    )
    made_on = f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}"
    n_close, n_better = int((mine <= default + SLACK).sum()), int((mine < default).sum())
    lines = [
        f"Balanced error on the test part; {arguments.time:g} s each; {made_on}, {made_with}.",
        "",
        f"    {Path(__file__).name} DATA_FOLDER --time {arguments.time:g} --seed {arguments.seed}",
        "",
        "| data set | rows | random forest | FLAML | AutoMLClassifier | s FLAML | s AutoMLClassifier |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['data set']} | {row['rows']} | {row['random forest']:.4f} | {row['FLAML']:.4f} "
        f"| {row['AutoMLClassifier']:.4f} | {row['s FLAML']:.0f} | {row['s AutoMLClassifier']:.0f} |"
        for row in rows
    ]
    lines += [
        f"| mean | | {default.mean():.4f} | {other.mean():.4f} | {mine.mean():.4f} | | |",
        "",
        f"Within {SLACK:.1%} of the forest or better on {n_close} of {len(table)}, better on {n_better}.",
        f"Mean {mine.mean():.4f} against FLAML's {other.mean():.4f}.",
    ]
    arguments.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
