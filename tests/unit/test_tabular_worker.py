from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.datasets import load_iris

from bohb_service.errors import StudyError
from bohb_service.worker.base import EvaluationContext
from bohb_service.workers.tabular import worker as tabular_worker
from bohb_service.workers.tabular.kept import drop_evaluation, load_evaluation
from bohb_service.workers.tabular.metrics import METRICS
from bohb_service.workers.tabular.saved import MODEL, load_model, save_model
from tests.sealing import facts_of, sealed_again
from tests.tabular_target import TreeTarget, read

CONFIG = {"min_rows": 2}


def context(folder, budget=3.0, seed=0, report=None):
    return EvaluationContext("0", 0, budget, None, seed, folder, 1, report or (lambda *_: None))


def test_the_loss_is_that_of_the_rows_that_are_judged_on(tmp_path):
    points = []
    worker = TreeTarget(data="iris")
    found = worker.compute(CONFIG, 3.0, context(tmp_path, report=lambda *point: points.append(point)))
    assert 0 < found["loss"] < 0.2
    assert found["info"]["depth"] == 3
    assert points == [(3.0, found["loss"])]
    assert worker.compute(CONFIG, 3.0, context(tmp_path / "other"))["loss"] == found["loss"]


def test_the_loss_of_a_cross_validation_is_the_mean_of_its_folds(tmp_path):
    points = []
    worker = TreeTarget(data="iris", resampling="cv", folds=3)
    found = worker.compute(CONFIG, 3.0, context(tmp_path, report=lambda *point: points.append(point)))
    assert found["loss"] == np.mean(found["info"]["fold_losses"])
    assert [step for step, _ in points] == [1, 2, 3]
    assert points[-1][1] == found["loss"]


def test_more_folds_do_only_those_that_were_not_done(tmp_path):
    worker = TreeTarget(data="iris", resampling="cv", folds=4, fidelity="folds")
    few = worker.compute(CONFIG, 2, context(tmp_path))
    more = worker.compute(CONFIG, 4, context(tmp_path))
    assert more["info"]["fold_losses"][:2] == few["info"]["fold_losses"]
    again = context(tmp_path)
    assert worker.compute(CONFIG, 4, again)["info"]["folds_trained"] == 0
    assert again.continued_from == 4.0
    assert more["info"]["folds_trained"] == 2
    assert worker.compute(CONFIG, 4, context(tmp_path / "fresh"))["loss"] == more["loss"]
    assert worker.compute({"min_rows": 9}, 4, context(tmp_path))["info"]["folds_trained"] == 4


def test_a_fold_that_was_done_before_a_crash_is_done(tmp_path):
    worker = TreeTarget(data="iris", resampling="cv", folds=4, fidelity="folds")
    first = worker.compute(CONFIG, 1, context(tmp_path))
    again = worker.compute(CONFIG, 1, context(tmp_path))
    assert again["loss"] == first["loss"]
    assert again["info"]["folds_trained"] == 0


def test_a_fold_is_done_again_for_other_options_of_the_target(tmp_path):
    class Wider(TreeTarget):
        EXTRA = ("least",)

        def train(self, config, effort, fold, **rest):
            return super().train({"min_rows": self.table_options.extra["least"]}, effort, fold, **rest)

    losses = []
    for folder in ("same", "same", "fresh"):
        least = 50 if losses else 1
        worker = Wider(data="iris", resampling="cv", folds=4, fidelity="folds", least=least)
        losses.append(worker.compute(CONFIG, 2, context(tmp_path / folder))["loss"])
    assert losses[0] != losses[1] == losses[2]


def test_what_was_computed_with_other_libraries_is_computed_again(tmp_path, monkeypatch):
    worker = TreeTarget(data="iris", resampling="cv", folds=4, fidelity="folds")
    worker.compute(CONFIG, 2, context(tmp_path))
    monkeypatch.setattr(tabular_worker, "versions", lambda *_: {"numpy": "another"})
    assert worker.compute(CONFIG, 2, context(tmp_path))["info"]["folds_trained"] == 2


def test_a_share_of_the_rows_is_a_budget(tmp_path):
    worker = TreeTarget(data="digits", fidelity="subsample")
    losses = [worker.compute(CONFIG, percent, context(tmp_path))["loss"] for percent in (2, 20, 100)]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize(
    ("options", "budget", "words"),
    [
        ({"fidelity": "subsample"}, 101, "no percentage of rows"),
        ({"fidelity": "folds", "resampling": "cv"}, 6, "no number of folds from 1 to 5"),
        ({"fidelity": "folds", "resampling": "cv"}, 1.5, "no number of folds"),
        ({"fidelity": "folds"}, 1, "'folds' needs `resampling: cv`"),
        ({"fidelity": "epocs"}, 1, "choose from: depth, folds, subsample"),
        ({"metric": "rmse"}, 1, "'rmse' is for regression, and iris is a classification"),
    ],
)
def test_budgets_and_options_that_do_not_fit_are_refused(tmp_path, options, budget, words):
    with pytest.raises(StudyError, match=words):
        TreeTarget(data="iris", **options).compute(CONFIG, budget, context(tmp_path))


def test_a_loss_that_needs_variances_is_refused_by_a_target_that_tells_none():
    with pytest.raises(
        StudyError, match=r"'nll' needs predictions with a variance, which tree does not make; take rmse"
    ):
        TreeTarget(data="diabetes", metric="nll").setup()


def test_losses_of_predictions_with_variances():
    rng = np.random.default_rng(0)
    target, mean, deviation = rng.normal(size=(3, 50))
    prediction = np.stack([mean, deviation**2], axis=1)
    wanted = -norm.logpdf(target, mean, np.abs(deviation)).mean()
    assert METRICS["nll"].loss(target, prediction) == pytest.approx(wanted)
    for name in ("rmse", "mse", "mae", "r2"):
        assert METRICS[name].loss(target, prediction) == METRICS[name].loss(target, mean)


def test_the_final_model_is_saved_and_predicts(tmp_path):
    worker = TreeTarget(data="iris", model=str(tmp_path / "final"))
    (tmp_path / "c").mkdir()
    told = worker.refit(CONFIG, 5.0, context(tmp_path / "c", 5.0))
    assert told["train_rows"] == 120
    assert told["baseline"]["test_error"] <= 0.2
    model = load_model(told["model"], "tree", read)
    frame = load_iris(as_frame=True)
    share = np.mean(model.predict(frame.data) == frame.target)
    assert share > 0.95
    assert model.predict(frame.data.to_numpy()).tolist() == model.predict(frame.frame).tolist()
    assert np.allclose(model.predict_proba(frame.data).sum(axis=1), 1)
    assert model.facts["config"] == CONFIG


def test_a_saved_model_is_replaced_whole(tmp_path):
    for rows in (2, 9):
        worker = TreeTarget(data="iris", model=str(tmp_path / "final"))
        (tmp_path / str(rows)).mkdir()
        worker.refit({"min_rows": rows}, 5.0, context(tmp_path / str(rows)))
    assert load_model(tmp_path / "final", "tree", read).facts["config"] == {"min_rows": 9}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "9", "final"]


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(StudyError, match="there is no model"):
        load_model(tmp_path, "tree", read)
    for content in ("{", "[]", '{"format": 3}', '{"format": 1, "facts": {"target": "tree"}}', '{"format": 2}'):
        (tmp_path / "model.json").write_text(content)
        with pytest.raises(StudyError, match=r"model.json: .*train it again"):
            load_model(tmp_path, "tree", read)
    MODEL.seal(tmp_path, {"facts": {"target": "other"}})
    with pytest.raises(StudyError, match="a model of 'other', not of 'tree'"):
        load_model(tmp_path, "tree", read)


def saved_tree(folder):
    (folder / "c").mkdir(parents=True)
    worker = TreeTarget(data="iris", model=str(folder / "model"))
    return Path(worker.refit(CONFIG, 3.0, context(folder / "c", 3.0))["model"])


def test_damage_of_any_file_of_a_model_is_a_clear_error(tmp_path):
    model = saved_tree(tmp_path)
    files = [path for path in model.rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        whole = path.read_bytes()
        one_bit = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        for damaged in (b"", whole[: len(whole) // 2], bytes(reversed(whole)), whole + b"x", one_bit):
            path.write_bytes(damaged)
            with pytest.raises(StudyError, match=rf"{path.name}: .*copy the whole folder .*train it again"):
                load_model(model, "tree", read)
        path.write_bytes(whole)
    load_model(model, "tree", read)


@pytest.mark.parametrize(
    "change",
    [
        {"members": {}},
        {"members": []},
        {"task": {}},
        {"task": {"kind": "classification", "classes": "012"}},
        {"task": {"kind": "classes", "classes": []}},
        {"facts": {}},
        {"weight": 0.5},
        {"weight": float("nan")},
        {"weight": "1"},
        {"columns": {}},
        {"columns": [{"name": "a"}]},
        {"columns": [{"name": 1, "levels": None}]},
        {"columns": [{"name": "a", "levels": "xy"}]},
    ],
)
def test_facts_that_no_model_has_are_a_clear_error(tmp_path, change):
    model = saved_tree(tmp_path)
    data = facts_of(model, MODEL)
    (member,) = data["members"]
    is_of_member = change.keys() <= member.keys()
    sealed_again(model, MODEL, **({"members": [{**member, **change}]} if is_of_member else change))
    with pytest.raises(StudyError, match=r"cannot be read .*train it again"):
        load_model(model, "tree", read)
    sealed_again(model, MODEL, **data)
    load_model(model, "tree", read)


@pytest.mark.parametrize("member", ["..", "/tmp", "member-0/../..", ""])
def test_members_are_inside_of_the_model(tmp_path, member):
    model = saved_tree(tmp_path)
    (entry,) = facts_of(model, MODEL)["members"]
    sealed_again(model, MODEL, members=[{**entry, "folder": member}])
    with pytest.raises(StudyError, match="no folder of a member"):
        load_model(model, "tree", read)


def test_only_models_are_replaced(tmp_path):
    loaded = load_model(saved_tree(tmp_path / "a"), "tree", read)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    (tmp_path / "file").write_text("more years")
    for name in ("work", "file"):
        with pytest.raises(StudyError, match=r"something else is there, without a model.json; it is not replaced"):
            save_model(tmp_path / name, loaded.task, loaded.members, {"target": "tree"})
    assert (tmp_path / "work" / "thesis.txt").read_text() == "years"
    assert (tmp_path / "file").read_text() == "more years"
    (tmp_path / "empty").mkdir()
    save_model(tmp_path / "empty", loaded.task, loaded.members, {"target": "tree"})
    load_model(tmp_path / "empty", "tree", read)


def test_a_folder_for_the_model_that_cannot_be_used_is_told_before_the_search(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years")
    wrong = {
        "work": "something else is there, without a model.json",
        "work/thesis.txt": "something else is there",
        "work/thesis.txt/model": "thesis.txt is no folder",
        "/proc/self/model": "cannot be written here",
    }
    for name, words in wrong.items():
        with pytest.raises(StudyError, match=f"^worker_options.model: .*{words}"):
            TreeTarget(data="iris", model=str(tmp_path / name)).setup()
    TreeTarget(data="iris", model=str(tmp_path / "new" / "model")).setup()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["thesis.txt", "work"]
    TreeTarget(data="iris", model=str(saved_tree(tmp_path / "a"))).setup()
    load_model(tmp_path / "a" / "model", "tree", read)


def test_a_folder_in_place_of_a_kept_prediction_costs_no_more_than_that_fold(tmp_path):
    worker = TreeTarget(data="iris", resampling="cv", folds=3, fidelity="folds")
    expected = worker.compute(CONFIG, 3, context(tmp_path))
    kept = tmp_path / "fold-1" / "prediction.bin"
    kept.unlink()
    kept.mkdir()
    (kept / "notes.txt").write_text("mine")
    found = worker.compute(CONFIG, 3, context(tmp_path))
    assert (found["loss"], found["info"]["folds_trained"]) == (expected["loss"], 1)
    assert "not empty" in found["info"]["checkpoint_error"]
    (kept / "notes.txt").unlink()
    assert "checkpoint_error" not in worker.compute(CONFIG, 3, context(tmp_path))["info"]
    assert worker.compute(CONFIG, 3, context(tmp_path))["info"]["folds_trained"] == 0


@pytest.mark.parametrize("place", ["fold-1", ""])
def test_a_file_in_place_of_a_folder_costs_no_more_than_what_would_be_kept_there(tmp_path, place):
    worker = TreeTarget(data="iris", resampling="cv", folds=3, fidelity="folds")
    expected = worker.compute(CONFIG, 3, context(tmp_path / "fresh"))
    (tmp_path / "c").mkdir()
    spoiled = tmp_path / "c" / place
    if not place:
        spoiled.rmdir()
    spoiled.write_text("mine")

    for n_trained in (3, 1 if place else 3):
        found = worker.compute(CONFIG, 3, context(tmp_path / "c"))
        assert (found["loss"], found["info"]["folds_trained"]) == (expected["loss"], n_trained)
        assert str(spoiled) in found["info"]["checkpoint_error"]

    assert spoiled.read_text() == "mine"


@pytest.mark.parametrize("place", ["final", "final/default"])
def test_a_file_in_place_of_a_folder_costs_no_final_training(tmp_path, place):
    spoiled = tmp_path / "c" / place
    spoiled.parent.mkdir(parents=True)
    spoiled.write_text("mine")
    worker = TreeTarget(data="iris", model=str(tmp_path / "model"))
    assert worker.refit(CONFIG, 3.0, context(tmp_path / "c", 3.0))["baseline"]["test_error"] < 0.3
    assert spoiled.read_text() == "mine"


def test_folders_in_place_of_what_an_evaluation_keeps_can_be_removed(tmp_path):
    worker = TreeTarget(data="iris", keep=True)
    worker.compute(CONFIG, 3.0, context(tmp_path))
    kept = tmp_path / "kept" / "3" / "prediction.bin"
    kept.unlink()
    kept.mkdir()
    assert load_evaluation(tmp_path, 3.0) is None
    worker.compute(CONFIG, 3.0, context(tmp_path))
    assert load_evaluation(tmp_path, 3.0) is not None
    kept.unlink()
    kept.mkdir()
    drop_evaluation(tmp_path, 3.0)
    assert not kept.parent.exists()


def test_a_model_is_where_others_may_read_it(tmp_path):
    """The folder has the rights of any new folder, not those of a private temporary one."""
    (tmp_path / "usual").mkdir()
    assert saved_tree(tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_model_that_cannot_be_put_in_place_leaves_the_earlier_one(tmp_path, monkeypatch):
    model = saved_tree(tmp_path / "a")
    rename = Path.rename

    def refuse(self, target):
        if self.name == "new":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    loaded = load_model(model, "tree", read)
    with pytest.raises(OSError, match="no"):
        save_model(model, loaded.task, loaded.members, {"target": "tree", "config": "other"})
    assert load_model(model, "tree", read).facts["config"] == CONFIG
    assert sorted(path.name for path in model.parent.iterdir()) == ["c", "model"]


def test_poisoned_test_labels_change_no_loss(tmp_path):
    frame = load_iris(as_frame=True).frame.sample(frac=1, random_state=0, ignore_index=True)
    frame.to_csv(tmp_path / "clean.csv", index=False)
    frame.loc[100:, "target"] = frame.target[100:].sample(frac=1, random_state=1).to_numpy()
    frame.to_csv(tmp_path / "poisoned.csv", index=False)
    losses = {}
    for name in ("clean", "poisoned"):
        worker = TreeTarget(data=str(tmp_path / f"{name}.csv"), test={"last": 50})
        losses[name] = [
            worker.compute({"min_rows": n}, 3.0, context(tmp_path / f"{name}-{n}"))["loss"] for n in (1, 5, 20)
        ]
    assert losses["clean"] == losses["poisoned"]


@pytest.mark.parametrize("resampling", ["holdout", "cv"])
def test_a_kept_evaluation_has_its_prediction_and_its_model(tmp_path, resampling):
    worker = TreeTarget(data="diabetes", keep=True, resampling=resampling, folds=3)
    found = worker.compute(CONFIG, 3.0, context(tmp_path))
    prediction, folder = load_evaluation(tmp_path, 3.0)
    folds = [worker.dataset.fold(k) for k in range(worker.dataset.n_folds)]
    target = np.concatenate([fold.judge.target for fold in folds])
    if resampling == "holdout":
        assert METRICS["rmse"].loss(target, prediction) == pytest.approx(found["loss"])
    model = load_model(folder, "tree", read)
    assert len(model.members) == len(folds) == len(prediction) / len(target) * len(folds)
    assert load_evaluation(tmp_path, 1.0) is None
    names = model.feature_names
    assert np.isfinite(model.predict(pd.DataFrame(np.zeros((2, len(names))), columns=list(names)))).all()


@pytest.mark.parametrize(
    ("name", "target", "prediction", "loss"),
    [
        ("error", [0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], 1 / 3),
        ("balanced_error", [0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], 0.25),
        ("log_loss", [0, 1], [[0.5, 0.5], [1.0, 0.0]], (np.log(2) - np.log(1e-15)) / 2),
        ("auc", [0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.95, 0.05]], 0.5),
        ("mse", [1.0, 2.0], [1.0, 4.0], 2.0),
        ("rmse", [1.0, 2.0], [1.0, 4.0], np.sqrt(2)),
        ("mae", [1.0, 2.0], [1.0, 4.0], 1.0),
        ("r2", [1.0, 3.0], [2.0, 2.0], 1.0),
    ],
)
def test_losses_are_those_of_their_definitions(name, target, prediction, loss):
    assert METRICS[name].loss(np.array(target), np.array(prediction)) == pytest.approx(loss)
