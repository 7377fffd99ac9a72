"""What people see: every view at several widths, with key facts and without a line that is too long."""

import io
import queue
import re
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bohb_service.cli.blocks import Portable
from bohb_service.cli.live import LiveView
from bohb_service.cli.status_view import status_view
from bohb_service.cli.tables import preview_table, results_table, show, status_table, summary_table
from bohb_service.clock import SystemClock
from bohb_service.journal.memory import MemoryJournal
from bohb_service.master.master import Master
from bohb_service.master.terms import StudyFacts
from bohb_service.optimizer.observation import Suggestion
from bohb_service.results.rows import LostWorker
from bohb_service.results.run import load_run
from bohb_service.results.summary import summary_of
from bohb_service.rpc.messages import Report, Request, WorkerInfo
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.trial import REFIT_RUNG
from tests.views import text_of, words

b = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("builders.py"))))

WIDTHS = (60, 80, 140)


def mixed(job):
    if job.trial.rung == REFIT_RUNG:
        return b.complete(job)
    if job.trial.rung == 0 and job.trial.configuration % 5 == 3:
        return b.fail(job)
    if job.trial.configuration == 7:
        return Failed("timeout", "it took longer than 10 s", seconds=10.0)
    if job.trial.configuration == 4 and job.trial.rung == 0:
        return Released("lost", "its process died")
    return b.complete(job)


def summarised(tmp_path, outcome=mixed, study=None, **options):
    return summary_of(load_run(b.play(study or b.make_study(), tmp_path, outcome, **options)))


def with_refit(refit):
    return lambda job: Completed(0.0, refit, 1.0) if job.trial.rung == REFIT_RUNG else b.complete(job)


@pytest.mark.parametrize("width", WIDTHS)
def test_summary_of_a_finished_run(tmp_path, width):
    summary = summarised(tmp_path, offers_refit=True)
    run = summary.run
    text = words(text_of(summary_table(summary), width))

    assert text.startswith("small: finished, all brackets are done Incumbent: trial")
    assert f"kind {run.incumbent.config['kind']} x {run.incumbent.config['x']:.6g}" in text
    assert f"validation loss {run.incumbent.loss:.4g} at 9 epochs" in text
    assert "test error 15.00 % beats the default (20.00 %) by 5.00 points (25 % fewer errors)" in text
    assert "bracket rung epochs places done failed lost best loss" in text
    assert "exception e.g. trial 3.0: ValueError: x is 0.354102" in text
    assert "1x timeout e.g. trial 7.0: it took longer than 10 s" in text
    assert f"{len(run.trials)} started: {len(run.completions)} completed" in text
    assert "1 given up" in text
    assert "2 lost with their worker" in text
    assert "proposed by the model" in text
    assert "of the workers' time went into finished evaluations" in text
    assert f"spent {run.spent:.4g} times the largest budget" in text
    assert f"bohb-master results {tmp_path} --json" in text
    assert "go on where it stopped" not in text


@pytest.mark.parametrize(
    ("test_error", "words_of_verdict"),
    [
        (0.044, "4.40 % WORSE than the default (4.00 %) by 0.40 points (10 % more errors)"),
        (0.04, "4.00 % no better than the default (4.00 %)"),
        (0.02, "2.00 % beats the default (4.00 %) by 2.00 points (50 % fewer errors)"),
        (4.0, "4 WORSE than the default (0.04) by 3.96 (9900 % higher)"),
    ],
)
def test_the_verdict_is_honest(tmp_path, test_error, words_of_verdict):
    refit = {"test_error": test_error, "baseline": {"name": "the default", "test_error": 0.04}}
    text = text_of(summary_table(summarised(tmp_path, with_refit(refit), offers_refit=True)))

    assert f"test error {words_of_verdict}" in words(text)


def test_validation_loss_beside_the_baseline(tmp_path):
    refit = {"baseline": {"name": "the default", "validation_loss": 0.02}}
    summary = summarised(tmp_path, with_refit(refit), offers_refit=True)
    gain = 0.02 - summary.run.incumbent.loss
    text = words(text_of(summary_table(summary)))

    assert f"beats the default (0.02) by {gain:.4g} ({100 * gain / 0.02:.0f} % lower)" in text
    assert "test error" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_summary_of_a_run_in_which_everything_failed(tmp_path, width):
    def outcome(job):
        return Failed("crash", "aborted (SIGABRT)") if job.trial.configuration == 1 else b.fail(job)

    text = words(text_of(summary_table(summarised(tmp_path, outcome)), width))

    assert "All 17 evaluations failed: there is no result." in text
    assert "16x exception trial 0.0: ValueError: x is 0.5 Traceback (most recent call last): in compute" in text
    assert "1x crash trial 1.0: aborted (SIGABRT)" in text
    assert "Incumbent" not in text


def test_summary_of_an_interrupted_run(tmp_path):
    text = words(text_of(summary_table(summarised(tmp_path, b.complete, n_outcomes=7))))

    assert "small: interrupted It can go on where it stopped:" in text
    assert f"bohb-master run STUDY_FILE --run-dir {tmp_path}" in text
    assert "at 1 epoch, not yet the full 9 epochs" in text
    assert "8 started: 7 completed, 1 unfinished" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_views_of_a_run_that_has_hardly_begun(tmp_path, width):
    summary = summarised(tmp_path, n_outcomes=0)

    assert "No evaluation has been completed yet." in text_of(summary_table(summary), width)
    assert "No evaluation has been completed yet." in text_of(results_table(summary.run), width)
    text = text_of(status_table(summary.run.status()), width)
    assert "none yet" in text
    assert "No bracket" in text


def test_many_brackets_are_added_up(tmp_path):
    summary = summarised(tmp_path, b.complete, b.make_study(stop={"brackets": 40}))
    text = words(text_of(summary_table(summary)))

    assert "14 brackets 0 1 126 126 0" in text
    assert "13 brackets 0 9 39 39 0" in text
    assert text_of(summary_table(summary)).count("\n") < 40
    assert "… and 21 more" in text_of(status_table(summary.run.status()))


def test_best_trials(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, mixed))
    text = text_of(results_table(run, top=2))
    full = sorted((t for t in run.trials if t.budget == 9 and t.state == "completed"), key=lambda t: t.loss)

    assert f"Best 2 trials of {len(full)} at 9 epochs" in text
    first, second = text.strip().splitlines()[-2:]
    config = f"kind={full[0].config['kind']} x={full[0].config['x']:.6g}"
    assert words(first) == f"{full[0].trial} {full[0].loss:.4g} {full[0].origin} 9.0 s {config}"
    assert second.split()[0] == full[1].trial


def test_text_of_users_cannot_do_harm(tmp_path):
    message = "[bold]no markup[/bold] \x1b[31mred\x1b[0m :boom: two\nlines [/]"

    def outcome(job):
        return Failed("exception", message, f"Traceback\n  {message}")

    study = b.make_study(fidelity={"name": "[red]units", "min": 1, "max": 9})
    summary = summarised(tmp_path, outcome, study)
    for content in (summary_table(summary), status_table(summary.run.status()), results_table(summary.run)):
        text = text_of(content, 200)
        assert "\x1b" not in text
    text = text_of(summary_table(summary), 200)
    assert r"[bold]no markup[/bold] \x1b[31mred\x1b[0m :boom: two\nlines [/]" in text
    assert "[red]units" in text


def test_an_encoding_without_box_drawing(tmp_path):
    summary = summarised(tmp_path, mixed)
    for encoding in ("ascii", "iso-8859-1"):
        text = text_of(summary_table(summary), encoding=encoding) + text_of(
            status_table(summary.run.status()), encoding=encoding
        )
        assert "#####" in text
        assert re.search(r"9/9 x\d", text)


def test_show_prints_on_stdout_whole_commands(tmp_path, capsys):
    directory = tmp_path / ("a" * 60) / ("b" * 60)
    show(summary_table(summarised(directory, n_outcomes=3)))
    out, err = capsys.readouterr()

    assert f"  bohb-master run STUDY_FILE --run-dir {directory}" in out.splitlines()
    assert not re.search(r" $", out, re.MULTILINE)
    assert err == ""
    assert "\x1b" not in out


# -- status and live view -----------------------------------------------------------------------------------


def status(n_brackets=4, n_workers=2, *, n_problems=1, n_hyperparameters=9, n_rungs=4):
    """What a busy master says: the last brackets of a schedule, and as many workers as wanted."""
    budgets = [3**k for k in range(n_rungs)]
    brackets = []
    for index in range(n_brackets)[-12:]:
        first = index % n_rungs
        is_over = index < n_brackets - 2
        rungs = []
        for rung, value in enumerate(budgets[first:]):
            size = budgets[-1 - first - rung]
            n_done = size if is_over else size // 2 if rung == 0 else 0
            rungs.append(
                {
                    "budget": value,
                    "size": size,
                    "best": 0.0123 if n_done else None,
                    "queued": 0,
                    "leased": int(not is_over and rung == 0),
                    "completed": max(0, n_done - 1),
                    "failed": min(1, n_done),
                    "abandoned": 0,
                }
            )
        brackets.append({"bracket": index, "is_over": is_over, "rungs": rungs})
    workers = [
        {
            "name": f"node{number:03}.cluster-{4711 + number}-abc",
            "host": "node",
            "pid": number,
            "state": "idle" if number % 8 == 0 else "busy",
            "trials": [{"trial": f"{number}.0", "budget": 1.0, "step": 3.0, "loss": 0.25, "leased_s": 61.0}]
            * (1 + number % 2)
            if number % 8
            else [],
            "seen_s": 0.5 * number,
            "finished": number,
            "busy_s": 1.0,
        }
        for number in range(n_workers)
    ]
    if len(workers) > 1:
        workers[-1]["state"] = "lost"
    return {
        "study": "letter-mlp",
        "state": "running",
        "stop_reason": None,
        "elapsed_s": 83.2,
        "eta_s": 3700.0,
        "share_done": 0.39,
        "evaluations": {
            "started": 48,
            "completed": 41,
            "failed": 2,
            "abandoned": 1,
            "running": 4,
            "requeued": 3,
        },
        "spent": 12.345,
        "configurations": 50,
        "from_model": 20,
        "incumbent": {
            "trial": "12.2",
            "config": {f"hyperparameter_{number}": 0.00123456 for number in range(n_hyperparameters)},
            "origin": "model",
            "budget": 27.0,
            "loss": 0.04567,
        },
        "refit": None,
        "brackets": brackets,
        "min_workers": 0,
        "workers": workers,
        "lost_workers": [{"name": f"gone-{number}", "reason": "its process died"} for number in range(n_problems)],
        "failures": [
            {"trial": f"{number}.0", "reason": "exception", "message": "ValueError: " + "far too high " * 9}
            for number in range(n_problems)
        ],
    }


@pytest.mark.parametrize("size", [(80, 24), (140, 24), (200, 60)])
@pytest.mark.parametrize("n_brackets", [0, 4, 100])
@pytest.mark.parametrize("n_workers", [0, 2, 200])
def test_the_live_view_fits_the_screen(size, n_brackets, n_workers):
    width, height = size
    for n_problems in (0, 20):
        for n_hyperparameters in (2, 60):
            for n_rungs in (1, 4, 10):
                facts = status(
                    n_brackets,
                    n_workers,
                    n_problems=n_problems,
                    n_hyperparameters=n_hyperparameters,
                    n_rungs=n_rungs,
                )
                text = text_of(status_view(facts, width=width, height=height - 1), width)
                assert text.count("\n") <= height - 1, text


def test_the_live_view_tells_the_essentials():
    text = text_of(status_view(status(), width=80, height=23))
    flat = words(text)

    assert flat.startswith("letter-mlp running 1 min 23 s elapsed, about 1 h 02 min left")
    assert "39 % 12.35 full budgets spent" in flat or "39 % 12.34 full budgets spent" in flat
    assert "48 evaluations: 41 completed, 2 failed, 1 given up, 4 running, 3 repeated" in flat
    assert "Incumbent loss 0.04567 at budget 27, trial 12.2, proposed by the model" in flat
    assert "hyperparameter_0=0.00123456" in flat
    assert re.search(r"bracket +budget 1 +budget 3 +budget 9 +budget 27", text)
    assert re.search(r"0 +27/27 ✗1 0.0123 +9/9 ✗1 0.0123 +3/3 ✗1 0.0123 +1/1 ✗1 0.0123", text)
    assert re.search(r"2 +1/3 ✗1 0.0123 +0/1", text)
    assert re.search(r"node000.cluster-4711-abc +idle +0 +0 s ago", text)
    assert "failed: trial 0.0, exception: ValueError: far too high" in flat
    assert "lost: worker gone-0, its process died" in flat


def test_the_live_view_shows_what_is_under_way_and_counts_the_rest():
    text = text_of(status_view(status(100, 200), width=80, height=23))

    assert re.search(r"^ +98 ", text, re.MULTILINE)
    assert re.search(r"^ +99 ", text, re.MULTILINE)
    assert re.search(r"… and 9\d more\n", text)
    # The lost worker comes first, and all are accounted for.
    rows = [line for line in text.splitlines() if line.startswith("node")]
    assert "lost" in rows[0]
    more, busy, idle = map(int, re.search(r"… and (\d+) more: (\d+) busy, (\d+) idle", text).groups())
    assert more == busy + idle == 200 - len(rows)
    assert idle == 25


def test_a_narrow_screen_shortens_lines():
    facts = {**status(), "study": "s" * 64}
    text = text_of(status_view(facts, width=40, height=11), 40)

    assert [line[:3] for line in text.splitlines()[:6]] == ["sss", "███", "48 ", "", "Inc", "  h"]
    assert text.splitlines()[2].endswith("…")


def test_workers_stand_beside_brackets_where_there_is_room():
    text = text_of(status_view(status(), width=140, height=40), 140)

    assert re.search(r"bracket +budget 1 .* +2 workers +trial", text)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (None, ""),
        (30.0, ""),
        (29.9, "certificate expires in 29 days: bohb-master credentials DIR --renew"),
        (1.5, "certificate expires in 1 day: bohb-master credentials DIR --renew"),
        (-0.1, "certificate has expired: bohb-master credentials DIR --renew"),
    ],
)
def test_a_certificate_that_ends_soon_is_told(days, told):
    text = text_of(status_view({**status(), "certificate_days": days}, width=80, height=23))

    assert ("certificate" in text) == bool(told)
    assert told in text


def test_a_full_worker_list_without_a_height():
    text = text_of(status_table(status(4, 200)), 100)

    assert len([line for line in text.splitlines() if line.startswith("node")]) == 200
    assert "more:" not in text


def test_places_that_stay_empty_do_not_look_unfinished(tmp_path):
    def outcome(job):
        return b.fail(job) if job.trial.rung == 0 and job.trial.configuration else b.complete(job)

    run = load_run(b.play(b.make_study(stop={"brackets": 1}), tmp_path, outcome))

    assert re.search(r"9/9 ✗8 0.14 +█████ 1/1 [\d.]+ +█████ 1/1", text_of(status_table(run.status())))


def test_the_status_of_a_run_without_a_master(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path, n_outcomes=7))
    text = words(text_of(status_table({**run.status(), "master": None})))

    assert text.startswith("small interrupted")
    assert "8 evaluations: 7 completed, 0 failed, 1 unfinished" in text
    assert "No workers" in text


@pytest.mark.parametrize("state", ["running", "refitting"])
def test_the_status_says_that_a_master_does_not_answer(state):
    told = "Its master does not answer from here"

    assert told in text_of(status_table({**status(), "state": state, "master": None}))
    assert told not in text_of(status_table({**status(), "state": state}))
    assert told not in text_of(status_table({**status(), "state": "interrupted", "master": None}))


def test_the_status_says_for_how_many_workers_the_master_waits():
    text = words(text_of(status_table({**status(n_workers=2), "min_workers": 5})))

    assert "letter-mlp running: waiting for 2 of 5 workers" in text


def test_the_summary_names_the_last_lost_worker(tmp_path):
    run = load_run(b.play(b.make_study(), tmp_path))
    lost = LostWorker("w3", "its process died")

    def told(n_lost):
        return words(text_of(summary_table(summary_of(replace(run, lost_workers=(lost,), n_lost_workers=n_lost))), 80))

    assert "lost workers w3, its process died" in told(1)
    assert "lost workers 7, the last one: w3, its process died" in told(7)


def test_the_status_names_the_master():
    master = {"host": "10.0.0.5", "port": 9090, "pid": 7, "hostname": "head"}

    assert "master: 10.0.0.5:9090, pid 7 on head" in text_of(status_table({**status(), "master": master}))


def test_the_live_view_draws_in_place_and_leaves_nothing():
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system=None)
    asked = []

    def get_status():
        asked.append(1)
        return status(100, 200)

    with LiveView(console, get_status) as view:
        assert asked == []
        view.update()
        view.update()
    text = stream.getvalue()

    assert len(asked) == 2
    assert text.count("letter-mlp") >= 2
    assert "lost: worker gone-0" in text, "the last line of the view is on the screen"
    assert text.count("\x1b[1A") > 20
    assert "\x1b[?1049h" not in text
    assert text.endswith("\x1b[2K") or text.rstrip().endswith("\x1b[2K")


def test_the_live_view_gives_the_terminal_back_after_an_error():
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True)

    def fail():
        raise ConnectionError

    with pytest.raises(ConnectionError), LiveView(console, fail) as view:
        view.update()

    assert "\x1b[?25h" in stream.getvalue()


class FixedSampler:
    """Always the same configuration."""

    def suggest(self, number, observations, taken):
        return Suggestion({"kind": "a", "x": 0.5}, "prior")


def test_the_status_of_a_real_master():
    posted = queue.SimpleQueue()
    answers = []
    facts = StudyFacts("small", "id", "module:Class", {}, "/x", None, None)
    scheduler = Scheduler(b.settings_for(b.make_study(), offers_refit=False))
    master = Master(scheduler, MemoryJournal(), facts, SystemClock(), posted.put, FixedSampler)
    try:
        before = text_of(status_view(master.status(), width=80, height=23))
        session = master.register(WorkerInfo("local-1", "head", 1, 0.0, "1.0")).session
        master.exchange(
            session, Request(seq=1, results=(), reports=(), running=(), max_jobs=1, wait_s=5.0), answers.append
        )
        while not answers:
            posted.get(timeout=10)()
        report = Report(answers[0].jobs[0].lease, 2.0, 0.5)
        master.exchange(session, Request(seq=2, reports=(report,), running=(report.lease,)), answers.append)
        status = master.status()
        text = words(text_of(status_view(status, width=80, height=23)))
    finally:
        master.close()

    assert "No workers" in before
    assert "small running" in text
    assert "1 evaluation: 0 completed, 0 failed, 1 running" in text
    assert "1 worker trial budget finished busy/seen local-1 busy 0.0 1 0 0 s" in text
    (trial,) = status["workers"][0]["trials"]
    assert 0.0 <= trial.pop("leased_s") < 10.0
    assert trial == {"trial": "0.0", "budget": 1.0, "step": 2.0, "loss": 0.5}


def test_colours_are_left_out_on_request(monkeypatch):
    def drawn():
        stream = io.StringIO()
        console = Console(file=stream, width=80, force_terminal=True, color_system="standard")
        console.print(Portable(status_table(status())))
        return stream.getvalue()

    assert "\x1b[31m" in drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in drawn()


@pytest.mark.parametrize("width", WIDTHS)
def test_preview(width):
    preview = {
        "study": "small",
        "worker": "module:Class",
        "method": "bohb",
        "eta": 3.0,
        "fidelity": {"name": "epochs", "min": 1.0, "max": 9.0, "integer": True},
        "seed": 0,
        "space": {"x": "x, Type: UniformFloat, Range: [0.0, 1.0], Default: 0.5", "kind": "kind, Type: Categorical"},
        "offers_refit": True,
        "stop": {"brackets": 3},
        "cycle": [
            {
                "rungs": [{"size": 9, "budget": 1}, {"size": 3, "budget": 3}, {"size": 1, "budget": 9}],
                "full_budgets": 3,
            },
            {"rungs": [{"size": 5, "budget": 3}, {"size": 1, "budget": 9}], "full_budgets": 2.667},
            {"rungs": [{"size": 3, "budget": 9}], "full_budgets": 3},
        ],
        "plan": {
            "brackets": 3,
            "evaluations": 22,
            "configurations": 17,
            "budget": 78,
            "full_budgets": 8.667,
            "seconds_at_most": 1320,
        },
    }
    text = words(text_of(preview_table(preview), width))

    assert "bracket 1 epoch 3 epochs 9 epochs full budgets" in text
    assert "0 9 3 1 3" in text
    assert "evaluations 22" in text
    assert "22 min 00 s on one worker" in text
    unlimited = dict.fromkeys(preview["plan"])
    assert "no limit" in text_of(preview_table({**preview, "plan": unlimited, "stop": {"seconds": 60}}), width)


def test_the_status_ends_with_where_the_master_is_on_a_line_of_its_own():
    master = {"host": "head", "port": 9090, "pid": 7, "hostname": "vm"}
    lines = text_of(status_table({**status(), "master": master})).splitlines()

    assert [line.strip() for line in lines[-2:]] == ["", "master: head:9090, pid 7 on vm"]


def test_the_summary_tells_what_continuing_saved(tmp_path):
    def outcome(job):
        return replace(b.complete(job), continued_from=job.previous_budget or 0.0)

    text = words(text_of(summary_table(summarised(tmp_path, outcome))))

    assert "5 of 5 promoted trials (100 %) went on from a checkpoint; saved" in text
    none = text_of(summary_table(summarised(tmp_path / "another")))
    assert "0 of 5 promoted trials (0 %) went on from a checkpoint" in none
    assert "saved" not in none


def test_the_status_tells_what_no_worker_can_take():
    view = status_view(
        {**status(), "unfit": [{"budget": 9.0, "trials": 3, "need": {"gpu": 1, "kind": "a100"}}]}, width=100
    )

    assert "no connected worker can take 3 trials at budget 9: needs gpu 1, kind a100" in text_of(view, 100)
