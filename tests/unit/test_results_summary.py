"""The summary: what the incumbent is worth, honestly, and what to do next."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from bohb_service.results.run import load_run
from bohb_service.results.summary import Comparison, summary_of
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.trial import REFIT_RUNG

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))


def summary_with(tmp_path, refit, **options):
    def outcome(job):
        return Completed(0.0, refit, 1.0) if job.trial.rung == REFIT_RUNG else b.complete(job)

    return summary_of(load_run(b.play(b.make_study(), tmp_path, outcome, offers_refit=True)), **options)


def test_the_incumbent_beside_the_baseline(tmp_path):
    baseline = {"name": "the default", "test_error": 0.076, "validation_loss": 0.05, "n_weights": 3}
    summary = summary_with(tmp_path, {"test_error": 0.041, "baseline": baseline, "epochs": 9, "curve": [1, 2]})

    assert summary.test_error == 0.041
    assert summary.test == Comparison(0.041, "the default", 0.076, is_share=True)
    assert summary.test.gain == pytest.approx(0.035)
    assert summary.test.relative_gain == pytest.approx(0.4605, abs=1e-4)
    assert summary.validation == Comparison(summary.run.incumbent.loss, "the default", 0.05, is_share=False)
    assert summary.notes == {"epochs": 9}
    assert summary.resume is None
    assert summary.commands == (f"bohb-master results {tmp_path} --json",)


def test_a_worse_incumbent_has_a_negative_gain(tmp_path):
    summary = summary_with(tmp_path, {"test_error": 0.05, "baseline": {"name": "x", "test_error": 0.04}})

    assert summary.test.gain == pytest.approx(-0.01)
    assert summary.test.relative_gain == pytest.approx(-0.25)
    assert summary.validation is None


@pytest.mark.parametrize(
    ("value", "baseline", "relative"),
    [(0.0, 0.0, None), (0.1, 0.0, None), (-8.0, -7.0, 1 / 7), (-1.0, 1.0, None), (0.0, 0.5, 1.0), (-1.0, 0.0, None)],
)
def test_a_relative_gain_is_given_where_it_means_something(value, baseline, relative):
    comparison = Comparison(value, "x", baseline, is_share=False)

    assert comparison.gain == baseline - value
    assert comparison.relative_gain == (None if relative is None else pytest.approx(relative))


@pytest.mark.parametrize(
    "refit",
    [
        {},
        {"baseline": None},
        {"baseline": "svm", "test_error": "low"},
        {"baseline": {"test_error": math.nan}, "test_error": math.nan},
        {"baseline": {"name": "x"}, "test_error": None},
        {"baseline": {"test_error": True}, "test_error": True},
    ],
)
def test_a_final_training_that_keeps_to_no_convention(tmp_path, refit):
    summary = summary_with(tmp_path, refit)

    assert (summary.test_error, summary.test, summary.validation) == (None, None, None)


def test_an_error_that_is_no_fraction_is_no_percentage(tmp_path):
    summary = summary_with(tmp_path, {"test_error": 4.2, "baseline": {"test_error": 7.1}})

    assert summary.test == Comparison(4.2, "the baseline", 7.1, is_share=False)


def test_an_interrupted_run_can_go_on(tmp_path):
    directory = tmp_path / "my runs"
    run = load_run(b.play(b.make_study(), directory, n_outcomes=3))

    assert summary_of(run).resume == f"bohb-master run STUDY_FILE --run-dir '{directory}'"
    assert summary_of(run, file=Path("a b.yaml")).resume == f"bohb-master run 'a b.yaml' --run-dir '{directory}'"
    assert not summary_of(run).is_all_failed


def test_the_word_of_whoever_knows_that_it_was_interrupted(tmp_path):
    summary = summary_with(tmp_path, {}, interrupted=True, file=Path("s.yaml"))

    assert summary.resume == f"bohb-master run s.yaml --run-dir {tmp_path}"


def test_a_run_in_which_everything_failed(tmp_path):
    assert summary_of(load_run(b.play(b.make_study(), tmp_path / "a", b.fail))).is_all_failed
    assert not summary_of(load_run(b.play(b.make_study(), tmp_path / "b", n_outcomes=0))).is_all_failed
