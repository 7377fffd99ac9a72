"""Small tables with all that real ones have: gaps, categories, a constant column, a class with a single row."""

import numpy as np
import pandas as pd

from bohb_service.workers.tabular.columns import FeatureEncoder
from bohb_service.workers.tabular.rows import Fold, Rows
from bohb_service.workers.tabular.task import Task


def mixed_frame(n_rows=90, seed=0):
    """Features, with categories in the last 30 rows that do not occur before."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({f"x{number}": draw.normal(size=n_rows) for number in range(4)})
    frame["constant"] = 1.0
    frame["empty"] = np.nan
    frame["colour"] = draw.choice(["red", "green", "blue", None], n_rows)
    frame["city"] = [f"city {number}" for number in draw.integers(0, n_rows // 2, n_rows)]
    frame.loc[n_rows - 30 :, "colour"] = frame.loc[n_rows - 30 :, "colour"].replace("red", "violet")
    for name in ("x0", "x1"):
        frame.loc[draw.random(n_rows) < 0.15, name] = np.nan
    return frame


def mixed_table(kind, n_rows=90, seed=0):
    """A fold with 60 rows to learn from and 30 to judge on; four classes, of which one has a single row."""
    frame = mixed_frame(n_rows, seed)
    value = frame["x2"] - frame["x3"] + frame["x0"].fillna(0) + (frame["colour"] == "green")
    encoder = FeatureEncoder.fit(frame[:-30])
    if kind == "classification":
        target, task = np.digitize(value, [-1, 1]).astype(np.int64), Task("classification", ("a", "b", "c", "d"))
        target[3] = 3
    else:
        target, task = value.to_numpy(dtype=np.float64) * 100 + 1000, Task("regression")
    train, judge = encoder.transform(frame[:-30]), encoder.transform(frame[-30:])
    return Fold(task, encoder, Rows(train, target[:-30]), Rows(judge, target[-30:]), f"{kind} {n_rows} {seed}")
