"""Loading a run: what its journal tells of trials, incumbents, failures, time and workers."""

import json
import os
import runpy
import socket
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bohb_service.errors import JournalCorruptError, JournalError
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.optimizer.observation import Observation
from bohb_service.results.rows import LostWorker
from bohb_service.results.run import load_run
from bohb_service.scheduler.commands import Suggest, Tell
from bohb_service.scheduler.events import MasterStarted, TrialCompleted, WorkerLeft
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.state import StudyState
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId, TrialState

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))


def state_in(directory):
    """The state that the scheduler itself has of a run."""
    state = StudyState(0, 9)
    journal = SqliteJournal.open(directory / "journal.sqlite")
    for record in journal.read():
        state.apply(record.event)
    journal.close()
    return state


def fail_some(job):
    """Rung 0: configurations 2 and 5 raise, 3 runs out of time; 4 is lost once."""
    if job.trial.rung == 0 and job.trial.configuration in (2, 5):
        return b.fail(job)
    if job.trial.configuration == 3:
        return Failed("timeout", "it took longer than 10 s", seconds=10.0)
    if job.trial == TrialId(4, 0) and job.attempt == 1:
        return Released("lost", "worker-1: its process died")
    return b.complete(job)


def serve(directory, pid, hostname=None):
    hostname = hostname or socket.gethostname()
    address = MasterAddress("127.0.0.1", 1, "small", "0123456789abcdef", pid, hostname, "127.0.0.1")
    RunDirectory(directory).write_address(address)


def gone_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_finished_run(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, fail_some))
    state = state_in(tmp_path)

    assert (run.name, run.study, run.study_id, run.version) == ("small", b.make_study(), "0123456789abcdef", "1.0")
    assert (run.state, run.stop_reason) == ("finished", "brackets")
    assert len(run.trials) == state.started == 22
    for row in run.trials:
        trial = state.trials[TrialId.parse(row.trial)]
        assert (row.state, row.loss, row.budget, row.bracket, row.attempts) == (
            trial.state,
            trial.loss,
            trial.budget,
            trial.bracket,
            trial.attempts,
        )
        assert row.config == b.values_of(row.configuration)
        assert row.origin == ("model" if row.configuration % 2 else "prior")
    assert run.incumbent.trial == str(state.incumbent.trial)
    assert (run.incumbent.budget, run.incumbent.loss) == (9, state.incumbent.loss)
    assert run.incumbent.config == b.values_of(run.incumbent.configuration)
    assert run.spent == state.spent
    assert len(run.configurations) == 17
    assert run.share_from_model == 8 / 17
    assert run.refit is None


def test_rows_tell_how_an_evaluation_went(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, fail_some))
    rows = {row.trial: row for row in run.trials}

    done = rows["0.0"]
    assert (done.worker, done.seconds, done.started_at, done.finished_at) == ("worker-0", 1, b.START, b.START + 1)
    assert done.info == {"accuracy": 1 - done.loss}
    assert done.curve == ((1.0, 0.5), (1.0, done.loss))
    assert (done.reason, done.message, done.detail) == ("", "", "")
    failed = rows["2.0"]
    assert (failed.state, failed.loss, failed.seconds) == (TrialState.FAILED, float("inf"), 0.5)
    assert (failed.reason, failed.message) == ("exception", "ValueError: x is 0.736068")
    assert failed.detail.startswith("Traceback")
    again = rows["4.0"]
    assert (again.state, again.attempts, again.reason) == (TrialState.COMPLETED, 2, "")
    assert [row.trial for row in run.trials][:4] == ["0.0", "1.0", "2.0", "3.0"]
    with pytest.raises(FrozenInstanceError):
        run.state = "running"


def test_a_requeued_trial_is_told_from_its_last_lease(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, b.lose_first_attempt, n_workers=1))
    row = next(row for row in run.trials if row.trial == "0.0")

    assert (row.started_at, row.finished_at) == (b.START + 1, b.START + 2)


def test_failures_are_grouped_by_reason_with_the_most_frequent_message(tmp_path):
    def outcome(job):
        if job.trial.rung:
            return b.complete(job)
        number = job.trial.configuration
        if number in (0, 1, 2):
            return Failed("exception", "same" if number else "other", f"detail {number}")
        return Failed("timeout", f"after {number} s") if number == 3 else b.complete(job)

    run = load_run(b.play(b.make_study(), tmp_path, outcome))
    exceptions, timeouts = run.failures()

    assert (exceptions.reason, exceptions.count, exceptions.message) == ("exception", 3, "same")
    assert (exceptions.trial, exceptions.detail) == ("1.0", "detail 1")
    assert (timeouts.reason, timeouts.count, timeouts.trial) == ("timeout", 1, "3.0")


def test_requeues_are_counted_by_reason(tmp_path):
    def outcome(job):
        reason = {0: "lost", 4: "lost", 8: "preempted"}.get(job.trial.configuration)
        return Released(reason, "gone") if reason and job.lease == job.trial.configuration else b.complete(job)

    # One worker at a time: leases are numbered as the configurations are, plus the requeued ones.
    run = load_run(b.play(b.make_study(), tmp_path, outcome, n_outcomes=1))
    assert run.requeues == {"lost": 1}
    run = load_run(b.play(b.make_study(), tmp_path, b.complete, n_outcomes=3, halt="enough", start=b.START + 100))
    assert run.requeues == {"lost": 2, "stopped": 1}
    assert (run.state, run.stop_reason) == ("finished", "enough")


def test_a_trial_that_lost_all_attempts_is_abandoned(tmp_path):
    def outcome(job):
        return Released("lost", "no sign of life") if job.trial == TrialId(1, 0) else b.complete(job)

    run = load_run(b.play(b.make_study(), tmp_path, outcome))
    row = next(row for row in run.trials if row.trial == "1.0")

    assert (row.state, row.loss, row.reason, row.message) == (TrialState.ABANDONED, None, "lost", "no sign of life")
    assert (row.attempts, row.seconds) == (3, None)
    assert run.requeues == {"lost": 2}
    assert run.failures() == ()
    assert [rung.abandoned for rung in run.rungs] == [1, 0, 0, 0, 0, 0]


def test_a_late_result_belongs_to_the_worker_that_delivered_it(tmp_path):
    RunDirectory(tmp_path).prepare()
    journal = SqliteJournal.create(
        tmp_path / "journal.sqlite",
        {"study": b.make_study().to_json(), "study_id": "i", "space": b.SPACE_JSON, "version": "1"},
    )
    play = b.Play(b.make_study(), journal)
    first = play.ask("slow")
    play.now += 60
    play.handle(Tell(first.lease, Released("lost", "silent")))
    second = play.ask("fast")
    assert second.trial == first.trial
    play.now += 5
    play.handle(Tell(first.lease, b.complete(first)))
    journal.close()

    (row,) = load_run(tmp_path).trials
    assert (row.worker, row.started_at, row.finished_at) == ("slow", b.START, b.START + 65)


def test_what_became_of_each_rung(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, fail_some))
    rungs = run.rungs

    assert [(rung.bracket, rung.rung, rung.budget, rung.size) for rung in rungs] == [
        (0, 0, 1, 9),
        (0, 1, 3, 3),
        (0, 2, 9, 1),
        (1, 0, 3, 5),
        (1, 1, 9, 1),
        (2, 0, 9, 3),
    ]
    assert [(rung.entered, rung.completed, rung.failed) for rung in rungs[:2]] == [(9, 6, 3), (3, 3, 0)]
    assert all(rung.is_closed and rung.running == 0 for rung in rungs)
    for rung in rungs:
        losses = [row.loss for row in run.trials if (row.bracket, row.rung) == (rung.bracket, rung.rung)]
        assert rung.best == min(losses)


def test_the_incumbent_over_time(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path))
    points = run.incumbent_trajectory()

    keys = [(-point.budget, point.loss) for point in points]
    assert keys == sorted(set(keys), reverse=True)
    assert [point.seconds for point in points] == sorted(point.seconds for point in points)
    assert [point.spent for point in points] == sorted(point.spent for point in points)
    assert (points[-1].trial, points[-1].loss) == (run.incumbent.trial, run.incumbent.loss)
    assert {point.budget for point in points} == {1, 3, 9}
    assert points[0].seconds == 1
    assert points[0].spent == pytest.approx(2 / 9)
    # With the larger budget the loss may rise; at one budget it never does.
    smallest = run.incumbent_trajectory(budget=1)
    assert [point.loss for point in smallest] == sorted({point.loss for point in smallest}, reverse=True)
    best = min(row.loss for row in run.trials if row.budget == 1)
    assert smallest[-1].loss == best
    assert run.incumbent_trajectory(budget=2) == []


def test_pauses_between_masters_are_no_working_time(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=4)
    before = load_run(tmp_path)
    b.play(b.make_study(), tmp_path, start=b.START + 3600)
    run = load_run(tmp_path)

    assert (before.state, before.wall_s) == ("interrupted", 2)
    spans = [row.finished_at - b.START for row in run.trials if row.finished_at is not None]
    assert max(spans) > 3600
    assert run.wall_s == pytest.approx(2 + max(spans) - 3600)
    assert max(point.seconds for point in run.completions) == run.wall_s
    assert run.utilisation > 0.7


def test_the_larger_budget_wins_though_its_loss_is_higher(tmp_path):
    def outcome(job):
        return Completed(job.budget + job.config["x"], {}, job.budget)

    run = load_run(b.play(b.make_study(), tmp_path, outcome))
    points = run.incumbent_trajectory()

    assert [point.budget for point in points] == sorted(point.budget for point in points)
    assert (run.incumbent.budget, points[-1].trial) == (9, run.incumbent.trial)
    assert points[-1].loss > points[0].loss


def test_a_late_result_of_an_abandoned_trial(tmp_path):
    RunDirectory(tmp_path).prepare()
    journal = SqliteJournal.create(
        tmp_path / "journal.sqlite", {"study": b.make_study().to_json(), "study_id": "i", "space": b.SPACE_JSON}
    )
    play = b.Play(b.make_study(), journal)
    jobs = [play.ask("w")]
    for _ in range(3):
        play.handle(Tell(jobs[-1].lease, Released("lost", "silent")))
        jobs.append(play.ask("w"))
    assert jobs[3].trial != jobs[2].trial
    assert load_run(tmp_path).trials[0].reason == "lost"
    play.handle(Tell(jobs[0].lease, b.complete(jobs[0])))
    journal.close()

    row = load_run(tmp_path).trials[0]
    assert (row.state, row.reason, row.message) == (TrialState.COMPLETED, "", "")


def test_a_study_that_goes_on_after_a_failed_final_training(tmp_path):
    def outcome(job):
        return Failed("memory", "too much") if job.trial.rung == REFIT_RUNG else b.complete(job)

    b.play(b.make_study(stop={"brackets": 1}), tmp_path, outcome, offers_refit=True)
    assert load_run(tmp_path).refit_failure == "memory: too much"
    b.play(b.make_study(stop={"brackets": 2}), tmp_path, offers_refit=True, n_outcomes=1, start=b.START + 100)
    assert load_run(tmp_path).refit_failure is None


def test_a_lost_final_training_is_no_lost_trial(tmp_path):
    def outcome(job):
        is_lost = job.trial.rung == REFIT_RUNG and job.attempt == 1
        return Released("lost", "gone") if is_lost else b.complete(job)

    run = load_run(b.play(b.make_study(), tmp_path, outcome, offers_refit=True))

    assert (run.requeues, run.refit["test_error"]) == ({}, 0.15)


def test_a_study_that_goes_on_under_wider_rules(tmp_path):
    b.play(b.make_study(stop={"brackets": 1}), tmp_path, offers_refit=True)
    assert load_run(tmp_path).refit["test_error"] == 0.15
    assert load_run(tmp_path).state == "finished"
    b.play(b.make_study(stop={"brackets": 2}), tmp_path, offers_refit=True, n_outcomes=1, start=b.START + 100)
    run = load_run(tmp_path)

    assert (run.state, run.stop_reason, run.refit) == ("interrupted", None, None)


def test_results_of_earlier_runs_are_no_trials(tmp_path):
    warm = (Observation(-1, b.values_of(0), 9, 0.001),)
    run = load_run(b.play(b.make_study(), tmp_path, warm=warm, n_outcomes=1))

    assert [row.trial for row in run.trials] == ["0.0", "1.0"]
    assert run.incumbent.loss > 0.001


def test_the_final_training(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, offers_refit=True))

    assert run.refit["baseline"]["name"] == "the default"
    assert all("refit" not in row.trial for row in run.trials)
    assert len(run.trials) == sum(rung.completed for rung in run.rungs)
    assert run.state == "finished"


def test_a_final_training_that_fails(tmp_path):
    def outcome(job):
        return Failed("memory", "more than 2000 MiB") if job.trial.rung == REFIT_RUNG else b.complete(job)

    run = load_run(b.play(b.make_study(), tmp_path, outcome, offers_refit=True))

    assert (run.refit, run.refit_failure, run.state) == (None, "memory: more than 2000 MiB", "finished")
    assert run.failures() == ()


def test_a_final_training_that_is_due(tmp_path):
    n_outcomes = len(load_run(b.play(b.make_study(), tmp_path / "whole")).trials)
    b.play(b.make_study(), tmp_path, offers_refit=True, n_outcomes=n_outcomes)

    assert load_run(tmp_path).stop_reason == "brackets"
    assert load_run(tmp_path).state == load_run(tmp_path).status()["state"] == "interrupted"
    serve(tmp_path, os.getpid())
    assert load_run(tmp_path).state == load_run(tmp_path).status()["state"] == "refitting"


def test_whether_a_master_serves_the_run(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=1)
    assert load_run(tmp_path).state == "interrupted"
    serve(tmp_path, os.getpid())
    assert load_run(tmp_path).state == "running"
    serve(tmp_path, gone_pid())
    assert load_run(tmp_path).state == "interrupted"
    serve(tmp_path, gone_pid(), hostname="elsewhere")
    assert load_run(tmp_path).state == load_run(tmp_path).status()["state"] == "running"
    (tmp_path / "master.json").write_text("{")
    assert load_run(tmp_path).state == "interrupted"


def test_a_run_without_any_event(tmp_path):
    RunDirectory(tmp_path).prepare()
    meta = {"study": b.make_study().to_json(), "study_id": "i", "space": b.SPACE_JSON, "refit": "true", "version": "1"}
    SqliteJournal.create(tmp_path / "journal.sqlite", meta).close()
    run = load_run(str(tmp_path))

    assert (run.trials, run.incumbent, run.wall_s, run.utilisation, run.share_from_model) == ((), None, 0, None, None)
    assert (run.incumbent_trajectory(), run.failures(), run.rungs) == ([], (), ())
    json.dumps(run.to_dict(), allow_nan=False)


def test_it_can_be_read_while_a_master_writes(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=0)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite")
    play = b.Play(b.make_study(), journal)
    n_seen = []
    for number in range(6):
        play.run(n_outcomes=1, n_workers=1)
        n_seen.append(len(load_run(tmp_path).trials))
        play.handle(Suggest(-1, {}, "prior"))
        assert load_run(tmp_path).count(TrialState.COMPLETED) >= number
    journal.close()

    assert n_seen == sorted(n_seen)
    assert n_seen[-1] > n_seen[0]


def test_no_journal(tmp_path):
    with pytest.raises(JournalError, match=r"no journal at .*nowhere.journal\.sqlite"):
        load_run(tmp_path / "nowhere")


def test_a_journal_without_a_study(tmp_path):
    RunDirectory(tmp_path).prepare()
    SqliteJournal.create(tmp_path / "journal.sqlite", {"study_id": "i"}).close()

    with pytest.raises(JournalCorruptError, match=r"journal\.sqlite lacks space, study;"):
        load_run(tmp_path)


def test_a_study_that_this_version_cannot_read(tmp_path):
    RunDirectory(tmp_path).prepare()
    meta = {"study": '{"name": "x", "answer": 42}', "study_id": "i", "space": b.SPACE_JSON}
    SqliteJournal.create(tmp_path / "journal.sqlite", meta).close()

    with pytest.raises(JournalCorruptError, match=r"journal\.sqlite: this version cannot read the study"):
        load_run(tmp_path)


def test_a_record_that_contradicts_the_others(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=1)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite")
    n_records = len(list(journal.read()))
    journal.append([(b.START, TrialCompleted(TrialId(40, 0), 3, 0.5))])
    journal.close()

    with pytest.raises(JournalCorruptError, match=rf"journal\.sqlite: record {n_records + 1} contradicts"):
        load_run(tmp_path)


def test_an_event_of_a_newer_version(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=1)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite")
    journal._connection.execute("INSERT INTO events VALUES ((SELECT max(seq) + 1 FROM events), 0, 'Later', '{}')")
    journal.close()

    with pytest.raises(JournalCorruptError, match=r"journal\.sqlite: .*Later"):
        load_run(tmp_path)


def test_no_numerical_library_is_needed(tmp_path):
    b.play(b.make_study(), tmp_path)
    code = f"""
import sys
from bohb_service.results.run import load_run
load_run({str(tmp_path)!r}).to_dict()
print(*sorted({{"numpy", "ConfigSpace", "pandas", "scipy", "rich"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []


def test_lost_workers_and_those_that_left_in_order(tmp_path):
    b.play(b.make_study(), tmp_path)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite")
    journal.append([(b.START + 100, WorkerLeft("polite", "drained", is_lost=False))])
    journal.append([(b.START + 100, WorkerLeft(f"w{k}", f"reason {k}", is_lost=True)) for k in range(25)])
    journal.close()
    run = load_run(tmp_path)

    assert run.lost_workers == tuple(LostWorker(f"w{k}", f"reason {k}") for k in range(5, 25))
    assert run.n_lost_workers == 25
    assert run.status()["lost_workers"] == [{"name": f"w{k}", "reason": f"reason {k}"} for k in range(5, 25)]
    assert run.to_dict()["lost_workers"] == run.status()["lost_workers"]
    assert run.wall_s == load_run(b.play(b.make_study(), tmp_path / "same")).wall_s


def test_masters_that_did_nothing(tmp_path):
    b.play(b.make_study(), tmp_path, n_outcomes=2)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite")
    journal.append([(b.START + 1000 * k, MasterStarted("1", "head", k)) for k in (1, 2)])
    journal.close()

    assert load_run(tmp_path).wall_s == 1


# -- continuation -----------------------------------------------------------------------------------------------


def test_what_promoted_trials_gained_from_those_before_them(tmp_path):
    """Every second configuration goes on; what a preempted attempt had done beyond that is not counted."""

    def outcome(job):
        done = b.complete(job)
        goes_on = job.previous_budget is not None and job.trial.configuration % 2 == 0
        return replace(done, continued_from=job.previous_budget + 0.5) if goes_on else done

    run = load_run(b.play(b.make_study(), tmp_path, outcome))
    promoted = [trial for trial in run.trials if trial.rung]
    even = [trial for trial in promoted if trial.configuration % 2 == 0]
    spared = {(0, 1): 1.0, (0, 2): 3.0, (1, 1): 3.0}

    assert (run.continuation.promoted, run.continuation.continued) == (len(promoted), len(even)) == (5, len(even))
    assert run.continuation.share == len(even) / len(promoted)
    assert run.continuation.saved == pytest.approx(sum(spared[trial.bracket, trial.rung] for trial in even) / 9.0)
    assert {trial.continued_from for trial in even} <= {1.5, 3.5}


def test_without_promotions_there_is_no_share(tmp_path):
    run = load_run(b.play(b.make_study(method="random", stop={"evaluations": 2}), tmp_path))

    assert run.continuation.share is None
