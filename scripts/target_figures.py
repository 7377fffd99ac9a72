"""The figures of the targets for tables: what a study of each finds, judged on rows that it never saw.

    OMP_NUM_THREADS=1 python scripts/target_figures.py [NAME ...] [--data FOLDER] [--work FOLDER]

NAMEs: letter and adult (studies of `configs/`, with Auto-Net), digits and breast_cancer (`AutoMLClassifier`, with a
time limit). FOLDER holds adult.csv.gz; without it adult is left out. Each figure is one line of `target_figures.md`
beside this file; lines of names that are not asked for stay as they are.
"""

import argparse
import os
import platform
import tempfile
import time
from functools import partial
from pathlib import Path

from bohb_service.api.study_run import StudyRun
from bohb_service.study import load_study

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_suffix(".md")
CORES = 2
HEAD = "| what | target | measured | evaluations | seconds | date, cores |\n|---|---|---|---|---|---|\n"


def study(name: str, work: Path, data: Path | None) -> tuple[float, int]:
    """Test error of the incumbent of a study, trained again at the end, and the number of evaluations."""
    file = ROOT / "configs" / f"{name}.yaml"
    text = file.read_text()
    if data is not None:
        text = text.replace("data: adult.csv.gz", f"data: {data / 'adult.csv.gz'}")
    copy = work / file.name
    copy.write_text(text)
    with StudyRun(load_study(copy), work / name, workers=CORES) as run:
        while not run.wait(1.0):
            pass
    results = run.results()
    if results.refit is None:
        raise SystemExit(f"{name}: the final training failed: {results.refit_failure}")
    return float(results.refit["test_error"]), len(results.trials)


def fitted(loader: str, seconds: float, resampling: str, splits: int) -> tuple[float, int]:
    """Test accuracy of `AutoMLClassifier` on a quarter of the rows, mean over splits, and the number of evaluations."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    from bohb_service.workers.sklearn import AutoMLClassifier

    X, y = getattr(datasets, loader)(return_X_y=True)
    scores, evaluations = [], 0
    for seed in range(splits):
        train, test, labels, truth = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
        search = AutoMLClassifier(time_limit=seconds, workers=CORES, resampling=resampling, random_state=seed)
        scores.append(float(search.fit(train, labels).score(test, truth)))
        evaluations += len(search.leaderboard())
    return sum(scores) / splits, evaluations


def main() -> None:
    """Measure what is asked for, print it, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        figures: dict[str, tuple[str, str, partial[tuple[float, int]]]] = {
            "letter": ("letter, test error", "<= 0.06", partial(study, "autonet", work, None)),
            "adult": ("adult, test error", "<= 0.148", partial(study, "autonet-adult", work, arguments.data)),
            "digits": ("digits, 90 s, test accuracy", ">= 0.98", partial(fitted, "load_digits", 90.0, "holdout", 1)),
            # So few rows, 426, are judged on all; and one of the 143 test rows is worth 0.007.
            "breast_cancer": (
                "breast cancer, 60 s, test accuracy, mean of 5 splits",
                ">= 0.96",
                partial(fitted, "load_breast_cancer", 60.0, "cv", 5),
            ),
        }
        names = arguments.names or [name for name in figures if name != "adult" or arguments.data]
        if unknown := set(names) - set(figures):
            parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(figures)}")
        lines = dict(line.split(" | ", 1) for line in TABLE.read_text().splitlines()[2:]) if TABLE.exists() else {}
        for name in names:
            title, target, measure = figures[name]
            began = time.monotonic()
            value, evaluations = measure()
            made = f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}"
            lines[f"| {title}"] = f"{target} | {value:.4f} | {evaluations} | {time.monotonic() - began:.0f} | {made} |"
            print(f"| {title} | {lines[f'| {title}']}", flush=True)
            ordered = [
                f"{key} | {lines[key]}" for key in (f"| {entry[0]}" for entry in figures.values()) if key in lines
            ]
            TABLE.write_text(HEAD + "\n".join(ordered) + "\n")


if __name__ == "__main__":
    main()
