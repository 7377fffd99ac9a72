"""The checker finds each kind of violation in doctored records of a real run, and none in the records as they are."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.chaos.checker import check

HERE = Path(__file__).parent
WORKER = "w0"


def command(program, *arguments):
    return [sys.executable, "-m", f"bohb_service.cli.{program}", *map(str, arguments)]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The records of a small run with failures, lost attempts, a trial that was given up, and a final training.

    With one worker the run is the same each time.
    """
    folder = tmp_path_factory.mktemp("run")
    options = {"log": str(folder / "side.jsonl"), "seconds": 0.005, "long_seconds": 0.1, "n_fates": 8}
    study = {
        "name": "small",
        "worker": f"{HERE / 'objective.py'}:Chaos",
        "worker_options": options,
        "fidelity": {"min": 1, "max": 9},
        "stop": {"brackets": 6},
        "seed": 4,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    run_dir = folder / "run"
    with (folder / f"{WORKER}.jsonl").open("wb") as log:
        arguments = command("worker", "--run-dir", run_dir, "--log-json")
        worker = subprocess.Popen(arguments, stderr=log, env={**os.environ, "BOHB_NAME": WORKER})
    try:
        master = command("master", "run", folder / "study.yaml", "--run-dir", run_dir)
        done = subprocess.run(master, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    return folder


class Records:
    """What the checker reads, as lists that a test may doctor.

    Attributes:
        rows: Kind and body of each record of the journal.
        study: The study.
        side: The side log.
        told: The worker's log.
        gap: Position of a record to leave out without closing the gap, or None.
    """

    def __init__(self, folder):
        self.folder = folder
        with closing(sqlite3.connect(folder / "run" / "journal.sqlite")) as journal:
            found = journal.execute("SELECT kind, body FROM events ORDER BY seq").fetchall()
            self.study = json.loads(*journal.execute("SELECT value FROM meta WHERE key = 'study'").fetchone())
        self.rows = [[kind, json.loads(body)] for kind, body in found]
        self.side = _lines(folder / "side.jsonl")
        self.told = _lines(folder / f"{WORKER}.jsonl")
        self.gap = None

    def check(self, folder):
        """The rules that are broken."""
        shutil.copytree(self.folder, folder)
        with closing(sqlite3.connect(folder / "run" / "journal.sqlite")) as journal:
            journal.execute("UPDATE meta SET value = ? WHERE key = 'study'", (json.dumps(self.study),))
            journal.execute("DELETE FROM events")
            rows = [(n, 0.0, kind, json.dumps(body)) for n, (kind, body) in enumerate(self.rows, 1) if n != self.gap]
            journal.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            journal.commit()
        for path, lines in (("side", self.side), (WORKER, self.told)):
            (folder / f"{path}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = check(folder / "run", folder / "side.jsonl", [folder / f"{WORKER}.jsonl"])[1]
        return {violation.rule for violation in found}

    def find(self, kind, nth=0, **fields):
        """Position of a record."""
        found = [i for i, (k, body) in enumerate(self.rows) if k == kind and fields.items() <= body.items()]
        return found[nth]

    def body(self, kind, nth=0, **fields):
        return self.rows[self.find(kind, nth, **fields)][1]

    def copy(self, kind, nth=0, *, to=None, **changes):
        """Repeat a record right behind itself, or elsewhere, with changes."""
        at = self.find(kind, nth)
        self.rows.insert(at + 1 if to is None else to, [kind, {**self.rows[at][1], **changes}])

    def move(self, at, to):
        self.rows.insert(to, self.rows.pop(at))

    def last_of_rung(self):
        """Position of the last result before the first rung closes, and of that record."""
        closed = self.find("RungClosed")
        names = {f"{number}.{self.rows[closed][1]['rung']}" for number in range(9)}
        return max(i for i in range(closed) if self.rows[i][1].get("trial") in names), closed


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def lose_a_record(records):
    records.gap = 10


def skip_a_configuration(records):
    records.body("ConfigurationSuggested", 2)["configuration"] = 77


def skip_a_bracket(records):
    records.body("BracketOpened", 1)["bracket"] = 5


def open_another_bracket_than_planned(records):
    records.body("BracketOpened", 1)["rungs"] = [[6, 3.0], [2, 9.0]]


def enter_a_full_rung(records):
    records.body("BracketOpened")["rungs"] = [[8, 1.0], [3, 3.0], [1, 9.0]]


def skip_a_lease(records):
    records.body("TrialLeased", 3)["lease"] = 99


def lease_after_the_end(records):
    records.copy("TrialLeased", to=records.find("StudyStopped") + 1)


def lease_twice(records):
    records.copy("TrialLeased", 4)


def lease_what_is_done(records):
    records.copy("TrialLeased", to=records.find("TrialCompleted", trial=records.body("TrialLeased")["trial"]) + 1)


def take_a_configuration_into_two_brackets(records):
    promoted = records.body("RungClosed")["promoted"][0]
    records.body("TrialLeased", trial=f"{promoted}.1")["bracket"] = 1


def lease_with_another_budget(records):
    records.body("TrialLeased", 5)["budget"] = 2.0


def evaluate_with_another_budget(records):
    records.side[3]["budget"] = 2.0


def count_an_attempt_too_many(records):
    records.body("TrialLeased", 2, attempt=1)["attempt"] = 2


def allow_fewer_attempts(records):
    records.study["limits"]["attempts"] = 1


def retrain_another_configuration(records):
    name = records.rows[records.find("StudyStopped") + 1][1]["trial"]
    for _, body in records.rows:
        if body.get("trial") == name:
            body["trial"] = "0.refit"


def promote_in_another_order(records):
    promoted = records.body("RungClosed")["promoted"]
    promoted[0], promoted[1] = promoted[1], promoted[0]


def promote_the_worst(records):
    body = records.body("RungClosed")
    body["promoted"] = body["promoted"][:-1] + [c for c in range(9) if c not in body["promoted"]][:1]


def close_a_rung_too_early(records):
    last, closed = records.last_of_rung()
    records.move(closed, last)


def give_a_result_after_the_rung_has_closed(records):
    last, closed = records.last_of_rung()
    records.move(last, closed)


def give_a_result_to_another_lease(records):
    records.body("TrialCompleted", 1)["lease"] += 1


def fail_without_a_reason(records):
    records.body("TrialFailed")["message"] = ""


def abandon_without_a_reason(records):
    records.body("TrialAbandoned")["reason"] = ""


def requeue_twice(records):
    records.copy("TrialRequeued")


def stop_while_a_lease_is_current(records):
    last = max(i for i in range(records.find("StudyStopped")) if records.rows[i][0] == "TrialCompleted")
    del records.rows[last]


def abandon_at_the_first_attempt(records):
    records.rows[records.find("TrialRequeued", reason="lost")][0] = "TrialAbandoned"


def forget_a_used_attempt(records):
    records.body("TrialRequeued", reason="lost")["used_attempt"] = False


def complete_twice(records):
    records.copy("TrialCompleted", 3)


def complete_without_a_loss(records):
    records.body("TrialCompleted", 2)["loss"] = float("inf")


def run_more_brackets_than_wanted(records):
    records.study["stop"]["brackets"] = 5


def count_brackets_twice(records):
    records.study["stop"]["brackets"] = 12


def count_evaluations_twice(records):
    records.study["stop"]["evaluations"] = 200
    records.body("StudyStopped")["reason"] = "evaluations"


def spend_a_budget_twice(records):
    records.study["stop"]["full_budgets"] = 40.0
    records.body("StudyStopped")["reason"] = "full_budgets"


def spend_too_much(records):
    records.study["stop"]["full_budgets"] = 4.0


def end_with_an_open_bracket(records):
    last = max(i for i, (kind, _) in enumerate(records.rows) if kind == "RungClosed")
    del records.rows[last]


def leave_without_having_joined(records):
    records.rows.insert(3, ["WorkerLeft", {"worker": "stranger", "reason": "its process died", "is_lost": True}])


def keep_directories_without_having_joined(records):
    records.rows.insert(3, ["WorkerPlaced", {"worker": "stranger", "place": "5f3a"}])


def leave_without_a_reason(records):
    records.rows.insert(1, ["WorkerJoined", {"worker": "w9", "host": "here", "pid": 1, "version": "1"}])
    records.rows.insert(2, ["WorkerLeft", {"worker": "w9", "reason": "", "is_lost": True}])


def lease_to_a_worker_that_is_gone(records):
    at = records.find("TrialLeased", 5)
    worker = records.rows[at][1]["worker"]
    records.rows.insert(at, ["WorkerJoined", {"worker": worker, "host": "here", "pid": 1, "version": "1"}])
    records.rows.insert(at + 1, ["WorkerLeft", {"worker": worker, "reason": "its process died", "is_lost": True}])


def write_an_unknown_event(records):
    records.rows.insert(3, ["TrialForgotten", {}])


def suggest_other_values(records):
    records.body("ConfigurationSuggested", 1)["values"]["x"] = 0.123


def change_the_seed(records):
    records.side[5]["seed"] += 1


def start_without_a_lease(records):
    records.side.append({**records.side[0], "attempt": 3})


def start_by_another_worker(records):
    line = next(line for line in records.side if line["event"] == "start")
    line["worker"] = "stranger"


def give_back_as_not_begun_what_was_begun(records):
    records.body("TrialRequeued", reason="lost").update(reason="unstarted", used_attempt=False)


def fail_what_the_objective_completed(records):
    row = records.rows[records.find("TrialCompleted")]
    row[:] = ["TrialFailed", {**row[1], "reason": "crash", "message": "segmentation fault"}]


def change_a_loss(records):
    records.body("TrialCompleted", 4)["loss"] += 1e-9


def change_the_info(records):
    records.body("TrialCompleted", 4)["info"]["chance"] = 0.5


def invent_a_result(records):
    trial = records.body("TrialCompleted", 4)["trial"]
    records.side[:] = [line for line in records.side if (line["trial"], line["event"]) != (trial, "end")]


def tell_before_it_is_durable(records):
    line = next(line for line in records.told if line["message"] == "job started")
    line["lease"] = 1000


def tell_another_attempt(records):
    line = next(line for line in records.told if line["message"] == "job started")
    line["attempt"] += 1


def lose_an_acknowledged_result(records):
    acknowledged = [n for line in records.told for n in line.get("leases", ())]
    wanted = next(
        i for i, (kind, b) in enumerate(records.rows) if kind == "TrialCompleted" and b["lease"] in acknowledged
    )
    del records.rows[wanted:]


def lose_all_after_an_acknowledgement(records):
    del records.rows[5:]


def record_another_loss_than_was_delivered(records):
    line = next(line for line in records.told if line["message"] == "job finished")
    line["loss"] += 1.0


def acknowledge_the_return_of_a_lease_that_stays(records):
    start = records.find("TrialLeased", 6)
    body = records.rows[start][1]
    del records.rows[start + 1 :]
    records.told.append({"message": "job released", "lease": body["lease"], "trial": body["trial"]})
    records.told.append({"message": "outcomes acknowledged", "leases": [body["lease"]]})


def leave_lines_out(records):
    told = next(i for i, line in enumerate(records.told) if line["message"] == "outcomes acknowledged")
    records.told[told] = {"message": "lines left out", "acknowledged": 1}


DOCTORS = {
    lose_a_record: "sequence",
    skip_a_configuration: "configuration-number",
    skip_a_bracket: "bracket-number",
    open_another_bracket_than_planned: "plan",
    enter_a_full_rung: "plan",
    skip_a_lease: "lease-number",
    lease_after_the_end: "after-stop",
    lease_twice: "two-leases",
    lease_what_is_done: "two-leases",
    take_a_configuration_into_two_brackets: "two-brackets",
    lease_with_another_budget: "budget",
    evaluate_with_another_budget: "budget",
    count_an_attempt_too_many: "attempt-number",
    allow_fewer_attempts: "attempt-limit",
    retrain_another_configuration: "refit",
    promote_in_another_order: "promotion",
    promote_the_worst: "promotion",
    close_a_rung_too_early: "rung",
    give_a_result_after_the_rung_has_closed: "late-result",
    give_a_result_to_another_lease: "lease-of-another",
    fail_without_a_reason: "reason",
    abandon_without_a_reason: "reason",
    requeue_twice: "lease-end",
    stop_while_a_lease_is_current: "lease-end",
    abandon_at_the_first_attempt: "abandoned",
    forget_a_used_attempt: "attempt-used",
    complete_twice: "two-results",
    complete_without_a_loss: "loss",
    run_more_brackets_than_wanted: "stop",
    count_brackets_twice: "stop",
    count_evaluations_twice: "stop",
    spend_a_budget_twice: "stop",
    spend_too_much: "stop",
    end_with_an_open_bracket: "unfinished",
    leave_without_having_joined: "presence",
    keep_directories_without_having_joined: "presence",
    leave_without_a_reason: "reason",
    lease_to_a_worker_that_is_gone: "presence",
    write_an_unknown_event: "kind",
    suggest_other_values: "values",
    change_the_seed: "seed",
    start_without_a_lease: "start",
    start_by_another_worker: "start",
    give_back_as_not_begun_what_was_begun: "unstarted",
    fail_what_the_objective_completed: "failure",
    change_a_loss: "result",
    change_the_info: "result",
    invent_a_result: "result",
    tell_before_it_is_durable: "durable",
    tell_another_attempt: "durable",
    lose_an_acknowledged_result: "acknowledged",
    lose_all_after_an_acknowledgement: "acknowledged",
    record_another_loss_than_was_delivered: "acknowledged",
    acknowledge_the_return_of_a_lease_that_stays: "acknowledged",
    leave_lines_out: "left-out",
}


def test_the_records_of_a_real_run_are_clean(records):
    run, side, logs = records / "run", records / "side.jsonl", [records / f"{WORKER}.jsonl"]
    history, violations = check(run, side, logs)
    assert violations == []
    assert history.is_finished
    kinds = {kind for kind, _ in Records(records).rows}
    assert {"TrialFailed", "TrialRequeued", "TrialAbandoned", "RungClosed"} <= kinds
    acknowledged = sum(line["message"] == "outcomes acknowledged" for log in logs for line in _lines(log))
    assert acknowledged > 40
    alone = subprocess.run(
        [sys.executable, HERE / "checker.py", run, side, *logs], capture_output=True, text=True, cwd="/", check=False
    )
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert alone.stdout.endswith(" 0 violations\n")


def test_rewritten_records_without_a_change_are_clean(records, tmp_path):
    assert Records(records).check(tmp_path / "copy") == set()


@pytest.mark.parametrize(("doctor", "rule"), DOCTORS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_a_violation_is_caught(records, tmp_path, doctor, rule):
    doctored = Records(records)
    doctor(doctored)
    assert rule in doctored.check(tmp_path / "doctored")


def test_the_command_tells_a_violation_with_its_record(records, tmp_path):
    doctored = Records(records)
    complete_twice(doctored)
    assert doctored.check(tmp_path / "doctored")
    found = subprocess.run(
        [sys.executable, HERE / "checker.py", tmp_path / "doctored" / "run", tmp_path / "doctored" / "side.jsonl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert re.search(r"^two-results: .* is completed already\n    \d+ TrialCompleted ", found.stdout, re.MULTILINE)


def test_every_rule_has_a_doctored_journal():
    sources = (HERE / "replay.py").read_text() + (HERE / "checker.py").read_text()
    rules = set(re.findall(r"""(?:self\.broken|Violation)\(\s*"([^"]+)",""", sources))
    assert rules == set(DOCTORS.values())


def test_the_checker_imports_nothing_of_the_service():
    for name in ("replay.py", "checker.py"):
        assert "bohb_service" not in re.findall(r"^\s*(?:from|import) (\w+)", (HERE / name).read_text(), re.MULTILINE)
