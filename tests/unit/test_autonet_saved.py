"""Saved networks that are damaged, with digests that tell it and with digests that were made right again."""

import copy
import json
import shutil

import numpy as np
import pytest
import torch

from bohb_service.errors import StudyError
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.autonet import AutoNet, load
from bohb_service.workers.tabular.saved import MODEL
from tests.sealing import sealed_again
from tests.tables import mixed_frame


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model with all kinds of columns, and its table."""
    folder = tmp_path_factory.mktemp("saved")
    frame = mixed_frame()[["x0", "x1", "constant", "colour"]].assign(
        size=["s", "l", "m"] * 30, day=[f"day {number % 7}" for number in range(90)]
    )
    frame.assign(target=np.where(frame["x1"] > 0, "high", "low")).to_csv(folder / "table.csv", index=False)
    worker = AutoNet(data=str(folder / "table.csv"), space="full", horizon=2, model=str(folder / "model"))
    config = {"embedding": "learned", "embedding_min_values": 5, "batch_norm": True, "layers": 2, "units": 16}
    worker.refit(config, 2.0, EvaluationContext("0", 0, 2.0, None, 7, folder))
    return folder / "model", frame


@pytest.mark.parametrize("name", ["network.json", "weights.safetensors", "preparation.skops"])
def test_one_changed_bit_of_a_saved_model_is_noticed(saved, tmp_path, name):
    folder, frame = saved
    model = shutil.copytree(folder, tmp_path / "model")
    path = model / "member-0" / name
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(StudyError, match=f"{name}: was changed since it was saved"):
            load(model)
    path.write_bytes(whole)
    assert np.array_equal(load(model).predict_proba(frame), load(folder).predict_proba(frame))


def forged(folder, target, change):
    """A copy of a model whose network.json was changed, with digests that are right."""
    model = shutil.copytree(folder, target)
    path = model / "member-0" / "network.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    sealed_again(model, MODEL)
    return model


CHANGES = [
    ({"n_dense": 3}, {}),
    ({"n_dense": "7"}, {}),
    ({"n_dense": 10**15}, {}),
    ({"n_dense": -1}, {}),
    ({"is_one_hot": 1}, {}),
    ({"is_one_hot": False}, {}),
    ({"numeric": [0, 1]}, {}),
    ({"numeric": [0, 1, 99]}, {}),
    ({"numeric": ["a", "b", "c"]}, {}),
    ({"numeric": 3}, {}),
    ({"categories": []}, {}),
    ({"categories": None}, {}),
    ({"hyperparameters": []}, {}),
    ({"objective": {}}, {}),
    ({"more": 1}, {}),
    ({}, {"hyperparameters": {"units": 17}}),
    ({}, {"hyperparameters": {"units": "16"}}),
    ({}, {"hyperparameters": {"units": -16}}),
    ({}, {"hyperparameters": {"units": 10**30}}),
    ({}, {"hyperparameters": {"layers": 3}}),
    ({}, {"hyperparameters": {"layers": 10**12}}),
    ({}, {"hyperparameters": {"head_layers": 10**12}}),
    ({}, {"hyperparameters": {"network": "shaped_resnet", "blocks_per_group": 10**12}}),
    ({}, {"hyperparameters": {"network": "resnet"}}),
    ({}, {"hyperparameters": {"network": None}}),
    ({}, {"hyperparameters": {"activation": "rleu"}}),
    ({}, {"hyperparameters": {"batch_norm": False}}),
    ({}, {"hyperparameters": {"dropout": 5.0}}),
    ({}, {"objective": {"n_outputs": 4}}),
    ({}, {"objective": {"is_classification": False}}),
    ({}, {"objective": {"mean": "0"}}),
    ({}, {"objective": {"deviation": [1.0, 2.0]}}),
]


@pytest.mark.parametrize(("whole", "part"), CHANGES)
def test_a_network_that_does_not_fit_is_refused_whatever_its_digest(saved, tmp_path, whole, part):
    def change(facts):
        return {**facts, **whole, **{name: {**facts[name], **values} for name, values in part.items()}}

    with pytest.raises(StudyError, match=r"the model cannot be read .*copy the whole folder .*train it again"):
        load(forged(saved[0], tmp_path / "model", change))


@pytest.mark.parametrize(
    "change",
    [
        {"index": 0},
        {"index": "3"},
        {"codes": [0]},
        {"codes": "abc"},
        {"codes": [0, 1, 2, 3, 4, 5, 99]},
        {"codes": [0, 1, 2, 3, 4, 6, -1]},
        {"n_codes": 10**15},
        {"n_codes": 6},
        {"width": 0},
        {"width": 100},
        {"width": None},
    ],
)
def test_categories_that_do_not_fit_are_refused_whatever_their_digest(saved, tmp_path, change):
    def changed(facts):
        (*others, first) = facts["categories"]
        assert first["width"]
        assert len(first["codes"]) == 7
        return {**facts, "categories": [*others, {**first, **change}]}

    with pytest.raises(StudyError, match=r"the model cannot be read .*copy the whole folder"):
        load(forged(saved[0], tmp_path / "model", changed))


def test_each_name_of_a_saved_network_is_needed(saved, tmp_path):
    facts = json.loads((saved[0] / "member-0" / "network.json").read_text())
    paths = [(name,) for name in facts] + [
        (name, inner) for name in ("hyperparameters", "objective") for inner in facts[name]
    ]
    model = shutil.copytree(saved[0], tmp_path / "model")
    for path in paths:
        less = copy.deepcopy(facts)
        part = less if len(path) == 1 else less[path[0]]
        del part[path[-1]]
        (model / "member-0" / "network.json").write_text(json.dumps(less))
        sealed_again(model, MODEL)
        with pytest.raises(StudyError, match="the model cannot be read"):
            load(model)


@pytest.mark.parametrize("damage", ["shape", "type", "missing", "more", "empty", "cut", "transformers", "no steps"])
def test_weights_and_transformers_that_do_not_fit_are_refused_whatever_their_digest(saved, tmp_path, damage):
    import skops.io
    from safetensors.torch import load_file, save_file

    model = shutil.copytree(saved[0], tmp_path / "model")
    path, steps = (model / "member-0" / name for name in ("weights.safetensors", "preparation.skops"))
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("weight") and weights[name].ndim == 2)
    match damage:
        case "shape":
            weights[name] = weights[name][:, 1:].contiguous()
        case "type":
            weights[name] = weights[name].double()
        case "missing":
            del weights[name]
        case "more":
            weights["more"] = torch.zeros(3)
        case "empty":
            weights = {}
        case "transformers":
            skops.io.dump({"imputer": 5}, steps)
        case "no steps":
            skops.io.dump([], steps)
    save_file(weights, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    sealed_again(model, MODEL)
    with pytest.raises(StudyError, match=r"the model cannot be read .*copy the whole folder"):
        load(model)
