"""Targets whose machine is taken away: no work is lost, and no bit of the loss changes."""

import io
import random
import time

import numpy as np
import pytest

from bohb_service.workers.autonet import AutoNet, course
from bohb_service.workers.autonet.training import Training
from bohb_service.workers.common import progress
from bohb_service.workers.common.progress import Preempted
from bohb_service.workers.ppo import PPO
from bohb_service.workers.ppo.learner import Learner
from bohb_service.workers.sghmc import SGHMC
from bohb_service.workers.sghmc.sampler import Sampler
from bohb_service.workers.sklearn import EstimatorWorker, SklearnPipeline
from bohb_service.workers.sklearn.cash import portions
from tests.preempting import Preemption, context, preempted, stormy
from tests.tabular_target import TreeTarget

NET = {"layers": 1, "units": 16, "batch_size": 32, "dropout": 0.3}
CHAIN = {"n_units_1": 6, "n_units_2": 5, "burn_in": 0.4}
AGENT = {"n_units_1": 8, "n_units_2": 8}
RUN = {"minibatch_size": 64, "normalise_observations": True, "normalise_rewards": True}


@pytest.fixture
def every_question_counts(monkeypatch):
    """Each question reaches the evaluation, and each tree of a forest is followed by one."""
    monkeypatch.setattr(progress, "ASK_EVERY_S", 0.0)
    monkeypatch.setattr(portions, "_PORTION_S", 0.0)
    monkeypatch.setattr(portions, "_FIRST_TREES", 1)


@pytest.fixture
def counted(monkeypatch):
    """How often a method was called."""

    def count(owner, name):
        calls, method = [], getattr(owner, name)

        def counting(self, *arguments, **named):
            calls.append(name)
            return method(self, *arguments, **named)

        monkeypatch.setattr(owner, name, counting)
        return calls

    return count


def fresh(make, config, budget, folder):
    """The loss of an evaluation that nothing disturbs."""
    here = context(folder, budget)
    loss = make().compute(config, budget, here)["loss"]
    assert here.continued_from == 0.0
    return loss


# Networks


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize("seed", range(3))
def test_a_network_loses_no_epoch_and_no_bit(tmp_path, counted, seed):
    def make():
        return AutoNet(data="iris", horizon=30, early_stopping=8 * seed)

    epochs = counted(Training, "train_epoch")
    expected = fresh(make, NET, 24.0, tmp_path / "fresh")
    n_epochs, _ = len(epochs), epochs.clear()
    draw = random.Random(seed)

    result, spared, count = stormy(make, NET, 24.0, tmp_path / "c", draw=draw, most=9)

    assert count >= 2
    assert result["loss"] == expected
    assert spared == result["info"]["epochs_resumed"] > 0
    assert result["info"]["epochs_resumed"] + result["info"]["epochs_trained"] == n_epochs
    # An epoch that is not known to be short is not waited for: the first one of each attempt, at most.
    assert n_epochs <= len(epochs) <= n_epochs + count


@pytest.mark.usefixtures("every_question_counts")
def test_a_long_epoch_is_given_up_and_the_one_before_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "_LONG_S", 0.0)
    expected = fresh(lambda: AutoNet(data="iris", horizon=9), NET, 3.0, tmp_path / "fresh")
    # 96 rows to learn from are three batches; there is a question between two of them, and one between two epochs.
    for after, done in ((0, None), (1, None), (2, 1), (3, 1), (4, 1)):
        preempted(lambda: AutoNet(data="iris", horizon=9), NET, 3.0, tmp_path / f"{after}", after)
        kept = tmp_path / f"{after}" / "fold-0" / "checkpoint.bin"
        assert kept.exists() == (done is not None)
        if done:
            worker, here = AutoNet(data="iris", horizon=9), context(tmp_path / f"{after}", 3.0)
            assert worker.compute(NET, 3.0, here)["loss"] == expected
            assert here.continued_from == done


def test_a_short_epoch_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "ASK_EVERY_S", 0.0)
    # Two questions in the first epoch, the third after it; then it is known to be short.
    preempted(lambda: AutoNet(data="iris", horizon=9), NET, 5.0, tmp_path, 4)
    here = context(tmp_path, 5.0)
    AutoNet(data="iris", horizon=9).compute(NET, 5.0, here)
    assert here.continued_from == 3.0


def test_seconds_that_were_spent_are_not_spent_again(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "ASK_EVERY_S", 0.0)
    worker = AutoNet(data="iris", horizon=100_000, fidelity="seconds")
    preempted(lambda: worker, NET, 0.4, tmp_path, 8)
    with np.load(_archive(tmp_path / "fold-0" / "checkpoint.bin")) as kept:
        spent = float(kept["state_spent"])
    here = context(tmp_path, 0.4)
    info = worker.compute(NET, 0.4, here)["info"]
    assert info["epochs_resumed"] > 0
    assert here.continued_from == pytest.approx(spent, rel=1e-12)
    assert info["train_s"] + spent < 0.8


def _archive(path):
    return io.BytesIO(path.read_bytes()[32:])


# Chains


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize("adaptation", [20, "budget"])
@pytest.mark.parametrize(("data", "chains"), [("diabetes", 1), ("iris", 2)])
def test_a_chain_loses_no_step_and_no_bit(tmp_path, counted, adaptation, data, chains):
    def make():
        return SGHMC(data=data, adaptation=adaptation, keep_every=5, batch_size=16, chains=chains)

    steps = counted(Sampler, "step")
    expected = [fresh(make, CHAIN, budget, tmp_path / f"{budget}") for budget in (60.0, 180.0)]
    steps.clear()
    draw = random.Random(chains)

    first, spared, count = stormy(make, CHAIN, 60.0, tmp_path / "c", draw=draw, most=15)
    assert (first["loss"], count > 2) == (expected[0], True)
    assert spared == first["info"]["steps_resumed"] > 0
    assert len(steps) == 60
    # What was unfinished is nothing that a larger budget goes on from, and is gone.
    assert {path.name for path in (tmp_path / "c" / "fold-0").iterdir()} == {"checkpoint.bin"}
    then, spared, count = stormy(make, CHAIN, 180.0, tmp_path / "c", draw=draw, most=50)
    assert (then["loss"], count > 2) == (expected[1], True)
    assert spared == then["info"]["steps_resumed"] > 60
    # In the published way the adaptation alone goes on at a larger budget: 24 of 60 steps.
    assert len(steps) == 60 + 180 - (60 if adaptation == 20 else 24)


def test_a_chain_asks_seldom_and_hears_soon(tmp_path):
    """Whatever a step costs: questions are counted by the clock."""
    asked, began = [], time.monotonic()
    here = context(tmp_path, 4000.0, lambda: bool(asked.append(time.monotonic())))
    SGHMC(data="diabetes", adaptation=20).compute(CHAIN, 4000.0, here)
    assert 1 <= len(asked) <= 2 + (time.monotonic() - began) / progress.ASK_EVERY_S


# Learners of scikit-learn

GROWING = {
    "random_forest": {},
    "extra_trees": {},
    "hist_gradient_boosting": {"early_stopping": False, "max_features": 0.5},
    "gradient_boosting": {"subsample": 0.6, "max_features": 0.5},
    "mlp": {"width": 16},
    "sgd": {},
    "passive_aggressive": {"C": 1e-4},
}


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("data", ["wine", "diabetes"])
def test_a_learner_loses_no_iteration_and_no_bit(tmp_path, name, data):
    def make():
        return SklearnPipeline(data=data, metric="log_loss" if data == "wine" else "rmse")

    config = {"learner": name, **{f"{name}:{key}": value for key, value in GROWING[name].items()}}
    expected = make().compute(config, 6.0, context(tmp_path / "fresh", 6.0))
    iterations = expected["info"]["iterations_trained"]
    assert iterations > 16
    done, draw = 0, random.Random(name)
    for _ in range(3):
        after = draw.randint(1, 4)
        preempted(make, config, 6.0, tmp_path / "c", after)
        done += after + 1
        assert _iterations(tmp_path / "c") == done
    here = context(tmp_path / "c", 6.0)
    result = make().compute(config, 6.0, here)

    assert result["loss"] == expected["loss"]
    assert (result["info"]["iterations_resumed"], result["info"]["iterations_trained"]) == (done, iterations - done)
    assert here.continued_from == pytest.approx(6.0 * done / _wanted(name, 6.0), rel=1e-12)


def _iterations(folder):
    with np.load(_archive(folder / "fold-0" / "checkpoint.bin")) as kept:
        return len(kept["curve"])


def _wanted(name, percent):
    most = 1024 if name in ("sgd", "passive_aggressive") else 512
    return -(-most * percent // 100)


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize("data", ["wine", "diabetes"])
def test_a_boosting_that_stops_by_itself_stops_at_the_same_round_however_often_it_left(tmp_path, data):
    name = "hist_gradient_boosting"
    config = {"learner": name, f"{name}:early_stopping": True, f"{name}:n_iter_no_change": 5}
    expected = SklearnPipeline(data=data).compute(config, 50.0, context(tmp_path / "fresh", 50.0))
    stopped = expected["info"]["iterations_trained"]
    assert 5 < stopped < 200

    result, _, count = stormy(
        lambda: SklearnPipeline(data=data), config, 50.0, tmp_path / "c", draw=random.Random(1), most=2
    )

    assert count > 3
    assert result["loss"] == expected["loss"]
    assert result["info"]["iterations_trained"] + result["info"]["iterations_resumed"] == stopped
    # One that was asked for just as many rounds does not know that it has stopped, unless its scores are looked at.
    exact = SklearnPipeline(data=data)
    budget = 100 * stopped / 512
    assert exact.compute(config, budget, context(tmp_path / "d", budget))["info"]["iterations_trained"] == stopped
    assert exact.compute(config, 50.0, context(tmp_path / "d", 50.0))["loss"] == expected["loss"]


@pytest.mark.usefixtures("every_question_counts")
def test_a_boosting_that_has_left_is_as_scikit_learn_leaves_it(tmp_path, monkeypatch):
    config = {"learner": "hist_gradient_boosting"}
    left = []
    fit_until = portions._histograms
    monkeypatch.setattr(portions, "_histograms", lambda e, *rest: (fit_until(e, *rest), left.append(e))[0])
    preempted(lambda: SklearnPipeline(data="wine"), config, 6.0, tmp_path / "c", 3)
    SklearnPipeline(data="wine").compute(config, 6.0, context(tmp_path / "fresh", 6.0))
    early, whole = left
    assert vars(early).keys() == vars(whole).keys()
    assert {name: type(value) for name, value in vars(early).items()} == {
        name: type(value) for name, value in vars(whole).items()
    }
    assert not {"gradient", "gradient_hessian"} & vars(early._loss).keys()
    assert (early.n_iter_, whole.n_iter_) == (4, 31)


@pytest.mark.usefixtures("every_question_counts")
def test_a_preempted_training_at_the_largest_budget_goes_on_too(tmp_path):
    config = {"learner": "sgd"}
    preempted(lambda: SklearnPipeline(data="wine"), config, 100.0, tmp_path, 9)
    here = context(tmp_path, 100.0)
    assert SklearnPipeline(data="wine").compute(config, 100.0, here)["info"]["iterations_resumed"] == 10
    assert here.continued_from == pytest.approx(100 * 10 / 1024)


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize(
    ("learner", "percent"), [("xgboost", 3.0), ("k_nearest_neighbours", 3.0), *((name, 0.05) for name in GROWING)]
)
def test_a_learner_that_cannot_go_on_or_has_had_all_iterations_is_not_asked(tmp_path, learner, percent):
    preemption = Preemption(0)
    worker = SklearnPipeline(data="wine")
    assert worker.compute({"learner": learner}, percent, context(tmp_path, percent, preemption))["loss"] <= 1
    assert not preemption.was_told


# Folds


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize(
    ("make", "config"),
    [
        (lambda **o: EstimatorWorker(data="wine", estimator="sklearn.ensemble:ExtraTreesClassifier", **o), {}),
        (lambda **o: SklearnPipeline(data="wine", **o), {"learner": "k_nearest_neighbours"}),
        (lambda **o: TreeTarget(data="iris", **o), {"min_rows": 2}),
    ],
)
@pytest.mark.parametrize("fidelity", ["folds", "subsample"])
def test_folds_that_are_done_are_not_done_again(tmp_path, make, config, fidelity):
    budget = {"folds": 4.0, "subsample": 60.0}[fidelity]

    def new():
        return make(resampling="cv", folds=4, fidelity=fidelity)

    expected = new().compute(config, budget, context(tmp_path / "fresh", budget))
    for done in (1, 3):
        folder = tmp_path / f"{done}"
        preempted(new, config, budget, folder, done - 1)
        here = context(folder, budget)
        found = new().compute(config, budget, here)
        assert found["loss"] == expected["loss"]
        assert found["info"]["folds_trained"] == 4 - done
        assert here.continued_from == budget * done / 4


def test_folds_of_another_budget_are_done_again(tmp_path):
    worker = TreeTarget(data="iris", resampling="cv", folds=3)
    losses = []
    for budget in (1.0, 4.0):
        here = context(tmp_path / "c", budget)
        losses.append(worker.compute({"min_rows": 2}, budget, here)["loss"])
        assert here.continued_from == 0.0
    assert losses[0] > losses[1]
    assert losses[1] == fresh(lambda: worker, {"min_rows": 2}, 4.0, tmp_path / "fresh")


@pytest.mark.usefixtures("every_question_counts")
def test_of_a_fold_in_the_middle_the_share_that_was_done_counts(tmp_path):
    def make():
        return AutoNet(data="iris", horizon=9, resampling="cv", folds=3)

    config = {**NET, "batch_size": 256}
    expected = fresh(make, config, 8.0, tmp_path / "fresh")
    # Seven questions in each fold, and one after it.
    preempted(make, config, 8.0, tmp_path / "c", 8 + 3)
    here = context(tmp_path / "c", 8.0)
    assert make().compute(config, 8.0, here)["loss"] == expected
    assert here.continued_from == (8 + 4 + 0) / 3
    result, spared, count = stormy(make, config, 8.0, tmp_path / "d", draw=random.Random(4), most=5)
    assert (result["loss"], count > 2, spared > 4) == (expected, True, True)


@pytest.mark.usefixtures("every_question_counts")
def test_kept_evaluations_have_the_models_of_all_folds_after_a_preemption(tmp_path):
    def make():
        return AutoNet(data="iris", horizon=9, resampling="cv", folds=3, keep=True)

    expected = fresh(make, NET, 4.0, tmp_path / "fresh")
    result, spared, _ = stormy(make, NET, 4.0, tmp_path / "c", draw=random.Random(2), most=9)
    assert (result["loss"], result["info"]["folds_trained"]) == (expected, 3)
    assert spared > 0
    members = [path.name for path in (tmp_path / "c" / "kept" / "4" / "model").iterdir() if path.is_dir()]
    assert len(members) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: AutoNet(data="iris", horizon=1),
        lambda: TreeTarget(data="iris"),
        lambda: EstimatorWorker(data="iris", estimator="sklearn.naive_bayes:GaussianNB"),
        lambda: SGHMC(data="iris", adaptation=1),
        lambda: PPO(max_episodes=20),
    ],
)
def test_what_is_done_in_one_piece_counts_whatever_comes(tmp_path, make):
    """Nothing is left to do where it could ask, and after a yes its result would count for nothing."""
    preemption = Preemption(0)
    config = {TreeTarget: {"min_rows": 2}, PPO: {"batch_size": 20}, AutoNet: {"batch_size": 256}}.get(type(make()), {})
    assert make().compute(config, 1.0, context(tmp_path, 1.0, preemption))["loss"] is not None
    assert not preemption.was_told


# Agents


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize(
    ("options", "fixed"),
    [
        ({"max_episodes": 60}, {"batch_size": 5, **RUN}),
        ({"env": "Pendulum-v1", "loss": "final_return", "steps": 2400}, {"rollout_steps": 330, **RUN}),
        ({"loss": "area", "steps": 1500, "n_envs": 3}, {"rollout_steps": 100, "optimizer_type": "rmsprop"}),
        (
            {"env": "MountainCar-v0", "loss": "area", "update": "episodes", "steps": 2000},
            {"batch_size": 2, "optimizer_type": "rmsprop"},
        ),
    ],
)
def test_a_trial_loses_no_update_and_no_bit(tmp_path, counted, options, fixed):
    def make():
        return PPO(**options, fixed=fixed)

    updates = counted(Learner, "update")
    expected = make().compute(AGENT, 2.0, context(tmp_path / "fresh", 2.0))
    n_updates, _ = len(updates), updates.clear()

    result, spared, count = stormy(make, AGENT, 2.0, tmp_path / "c", draw=random.Random(5), most=3)

    assert count >= 2
    assert result["loss"] == expected["loss"]
    for name in ("all_runs", "steps", "solved"):
        assert result["info"][name] == expected["info"][name]
    for number in range(2):
        ours, theirs = (_arrays(tmp_path / folder / f"trial-{number}.bin") for folder in ("c", "fresh"))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(array, theirs[name]) for name, array in ours.items())
    assert len(updates) == n_updates
    assert 0 < spared < 2
    assert not list((tmp_path / "c").glob("unfinished-*"))


def _arrays(path):
    with np.load(_archive(path)) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.usefixtures("every_question_counts")
def test_trials_and_the_part_of_one_are_budget_that_is_not_spent_again(tmp_path):
    def make():
        return PPO(env="Pendulum-v1", loss="area", steps=1600, fixed={"rollout_steps": 200})

    # Seven questions between the eight updates of a trial, and one after it.
    preempted(make, AGENT, 3.0, tmp_path, 8 + 2)
    here = context(tmp_path, 3.0)
    info = make().compute(AGENT, 3.0, here)["info"]
    assert info["trials_run"] == 2
    assert here.continued_from == 1 + 600 / 1600


@pytest.mark.usefixtures("every_question_counts")
def test_a_trial_in_an_environment_that_is_not_repeatable_begins_anew(tmp_path):
    def make():
        return PPO(env="tests.ppo_environments:Moody-v0", loss="area", steps=600, fixed={"rollout_steps": 110})

    preempted(make, AGENT, 1.0, tmp_path, 2)
    assert (tmp_path / "unfinished-0.bin").exists()
    here = context(tmp_path, 1.0)
    assert make().compute(AGENT, 1.0, here)["info"]["steps"] == [600]
    assert here.continued_from == 0.0


# What is in the way


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize("place", ["fold-0", ""])
@pytest.mark.parametrize(
    ("make", "config", "budget"),
    [
        (lambda: AutoNet(data="iris", horizon=9), NET, 3.0),
        (lambda: SGHMC(data="iris", adaptation=20), CHAIN, 40.0),
        (lambda: SklearnPipeline(data="wine"), {"learner": "sgd"}, 3.0),
        (lambda: PPO(max_episodes=30), {"batch_size": 5, **AGENT}, 1.0),
    ],
)
def test_a_file_in_place_of_a_folder_costs_what_would_be_kept_there(tmp_path, make, config, budget, place):
    expected = fresh(make, config, budget, tmp_path / "fresh")
    spoiled = tmp_path / "c" / place
    spoiled.parent.mkdir(exist_ok=True)
    spoiled.write_text("mine")
    is_in_the_way = not place or not isinstance(make(), PPO)

    if is_in_the_way:
        with pytest.raises(Preempted, match="what was done is lost"):
            make().compute(config, budget, context(tmp_path / "c", budget, Preemption(3)))
    here = context(tmp_path / "c", budget)
    found = make().compute(config, budget, here)

    assert (found["loss"], here.continued_from) == (expected, 0.0)
    assert ("checkpoint_error" in found["info"]) == is_in_the_way
    assert spoiled.read_text() == "mine"


# The final training


@pytest.mark.usefixtures("every_question_counts")
@pytest.mark.parametrize(
    ("make", "config", "budget"),
    [
        (lambda folder: AutoNet(data="iris", horizon=9, model=str(folder / "model")), NET, 9.0),
        (lambda folder: PPO(max_episodes=30, model=str(folder / "model")), {"batch_size": 5, **AGENT}, 2.0),
    ],
)
def test_a_final_training_goes_on_as_well(tmp_path, make, config, budget):
    told = []
    for folder, most in ((tmp_path / "fresh", 10**6), (tmp_path / "c", 3)):
        folder.mkdir()
        draw, count = random.Random(3), 0
        while True:
            try:
                told.append(
                    make(folder).refit(config, budget, context(folder, budget, Preemption(draw.randint(1, most))))
                )
            except Preempted:
                count += 1
                continue
            break
        assert (count > 1) == (most == 3)
    assert told[0]["test_loss"] == told[1]["test_loss"]
