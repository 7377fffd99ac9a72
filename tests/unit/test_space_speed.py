"""How long the conversions take: `pytest -m benchmark -s tests/unit/test_space_speed.py`."""

import timeit

import numpy as np
import pytest

from bohb_service.space import read_space

MIXED = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "decay": {"type": "float", "low": 1e-6, "high": 100, "log": True},
    "momentum": [0.0, 1.0],
    "dropout": {"type": "float", "low": 0, "high": 0.5, "prior": {"beta": [2, 5]}},
    "augment": {"type": "float", "low": 0, "high": 1, "prior": {"normal": [0.5, 0.2]}},
    "layers": [1, 4],
    "units": {"type": "int", "low": 16, "high": 1024, "log": True},
    "kernel": [1, 9],
    "solver": ["adam", "sgd", "rms"],
    "activation": {"type": "categorical", "choices": ["relu", "tanh", "gelu"], "weights": [0.5, 0.3, 0.2]},
    "norm": [True, False],
    "size": {"type": "ordinal", "sequence": ["s", "m", "l"]},
    "beta1": [0.8, 0.99],
    "beta2": [0.9, 0.999],
    "nesterov": [0.0, 1.0],
    "warmup": {"type": "int", "low": 1, "high": 100, "log": True},
}
RULES = {
    "beta1": {"type": "float", "low": 0.8, "high": 0.99, "when": {"solver": "adam"}},
    "beta2": {"type": "float", "low": 0.9, "high": 0.999, "when": {"solver": "adam"}},
    "nesterov": {"type": "float", "low": 0, "high": 1, "when": {"solver": "sgd", "layers": {"gt": 1}}},
    "warmup": {"type": "int", "low": 1, "high": 100, "log": True, "when": {"activation": ["relu", "gelu"]}},
    "forbidden": [{"norm": False, "layers": [3, 4]}],
}


def microseconds(call):
    return 1e6 * min(timeit.repeat(call, number=100, repeat=10)) / 100


@pytest.mark.benchmark
@pytest.mark.parametrize("rules", [{}, RULES], ids=["plain", "conditions and clauses"])
def test_sixteen_mixed_dimensions(rules):
    space = read_space({**MIXED, **rules})
    rng = np.random.default_rng(0)
    rows = space.sample(64, rng)
    raw = rng.random(rows.shape)
    one = rows[:1]
    configurations = space.decode(one)
    calls = {
        "snap of 64 rows": lambda: space.snap(raw),
        "is_legal of 64 rows": lambda: space.is_legal(rows),
        "decode of 1 row": lambda: space.decode(one),
        "encode of 1 configuration": lambda: space.encode(configurations),
        "check of 1 configuration": lambda: space.check(configurations[0]),
        "sample of 1": lambda: space.sample(1, rng),
        "sample of 64": lambda: space.sample(64, rng),
    }
    print()
    for name, call in calls.items():
        print(f"{name:<28} {microseconds(call):8.1f} us")
