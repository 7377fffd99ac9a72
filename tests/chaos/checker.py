"""Proves from a run's journal, its objective's side log and its workers' logs that nothing went wrong.

Usage: python tests/chaos/checker.py RUN_DIR SIDE_LOG [WORKER_LOG ...]

Nothing of the service is imported. The side log is what `objective.py` writes; the workers' logs are those of
``bohb-worker --log-json``.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this file is also run by its path

from tests.chaos.replay import History, Violation, parse, read_journal


def check_side_log(history, lines) -> Iterator[Violation]:
    """Compare the journal with what the objective says that it did."""
    yield from _check_arguments(history, lines)
    yield from _check_starts(history, [line for line in lines if line["event"] == "start"])
    ends = {(line["trial"], line["event"]): line for line in lines}
    for kind, record, body in history.results:
        trial = body["trial"]
        end = ends.get((trial, "end"))
        if kind == "TrialFailed":
            if not {(trial, "raise"), (trial, "exit")} & ends.keys():
                yield Violation("failure", f"the objective never failed on {trial}", record)
        elif end is None:
            yield Violation("result", f"the objective never ended {trial}", record)
        elif (parse(trial)[1] is not None and end["loss"] != body["loss"]) or end["info"] != body["info"]:
            yield Violation("result", f"the objective returned {end.get('loss')} with {end['info']}", record)


def _check_arguments(history, lines) -> Iterator[Violation]:
    seeds: dict[int, int] = {}
    for line in lines:
        text, trial, configuration = json.dumps(line), line["trial"], line["configuration"]
        if line["values"] != history.configurations.get(configuration):
            yield Violation("values", f"{trial} was evaluated with other values than the journal has", text)
        if seeds.setdefault(configuration, line["seed"]) != line["seed"]:
            yield Violation("seed", f"configuration {configuration} had seed {seeds[configuration]}", text)
        if trial in history.trials and line["budget"] != history.trials[trial].budget:
            yield Violation("budget", f"{trial} has budget {history.trials[trial].budget}", text)


def _check_starts(history, starts) -> Iterator[Violation]:
    """Each evaluation needs a lease of its own, and one that was given back as not begun is none."""
    leased = Counter((lease.trial, lease.attempt, lease.worker) for lease in history.leases)
    unstarted = Counter(
        (lease.trial, lease.attempt, lease.worker) for lease in history.leases if lease.end == "unstarted"
    )
    for key, n in Counter((line["trial"], line["attempt"], line["worker"]) for line in starts).items():
        if n > leased[key]:
            yield Violation("start", "{} attempt {} by {}: {} starts, {} leases".format(*key, n, leased[key]))
        elif n > leased[key] - unstarted[key]:
            yield Violation("unstarted", "{} attempt {} by {} was given back as not begun, but was".format(*key))


def check_worker_log(history, worker, lines) -> Iterator[Violation]:
    """Compare the journal with what a worker says that it was told."""
    told: dict[int, dict] = {}
    for line in lines:
        text = json.dumps(line)
        match line.get("message"):
            case "job started":
                number = line["lease"]
                lease = history.leases[number] if number < len(history.leases) else None
                seen = (line["trial"], worker, line["attempt"], line["budget"])
                if lease is None or seen != (lease.trial, lease.worker, lease.attempt, lease.budget):
                    record = lease.record if lease else "no such lease"
                    yield Violation("durable", f"{worker} began lease {number}, the journal has: {record}", text)
            case "job finished" | "job failed" | "job released":
                told[line["lease"]] = line
            case "lines left out":
                yield Violation("left-out", f"{worker} did not write all lines, so that not all can be checked", text)
            case "outcomes acknowledged":
                for number in line["leases"]:
                    yield from _check_acknowledged(history, number, told.get(number), worker)


def _check_acknowledged(history, number, outcome, worker) -> Iterator[Violation]:
    text = f"lease {number} of {worker}"
    if number >= len(history.leases):
        yield Violation("acknowledged", f"{text}: its outcome was acknowledged, but there is no such lease")
        return
    lease = history.leases[number]
    trial = history.trials[lease.trial]
    if outcome is None or outcome["message"] == "job released":
        if lease.end is None and trial.lease == number:
            yield Violation("acknowledged", f"{text} was given back, but is current", lease.record)
        return
    is_ignored = history.stop is not None or (trial.state == "abandoned" and trial.is_closed)
    if trial.state not in {"completed", "failed"} and not is_ignored:
        yield Violation("acknowledged", f"{text}: the outcome of {lease.trial} is lost", json.dumps(outcome))
    if lease.end == "TrialCompleted" and parse(lease.trial)[1] is not None and outcome.get("loss") != trial.loss:
        yield Violation("acknowledged", f"{text}: the journal has another loss, {trial.loss}", json.dumps(outcome))


def read_lines(path, *, strict) -> list[dict]:
    """The JSON objects in a file, one a line; others are skipped, unless it is strict."""
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            if strict:
                raise
    return [line for line in found if isinstance(line, dict)]


def check(run_dir: Path, side_log: Path, worker_logs: Iterable[Path] = ()) -> tuple[History, list[Violation]]:
    """The history of a run, and every rule that it breaks."""
    history = read_journal(run_dir / "journal.sqlite")
    violations = [*history.violations, *check_side_log(history, read_lines(side_log, strict=True))]
    for path in worker_logs:
        lines = read_lines(path, strict=False)
        names = {line["worker"] for line in lines if line.get("message") == "registered"}
        for name in names:
            violations += check_worker_log(history, name, lines)
    return history, violations


def main(arguments: list[str]) -> int:
    """Print what is wrong; the exit code."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    run_dir, side_log, *worker_logs = map(Path, arguments)
    history, violations = check(run_dir, side_log, worker_logs)
    for violation in violations:
        print(violation)
    print(
        f"{len(history.leases)} leases, {len(history.results)} results, {history.n_requeued} requeued, "
        f"{history.n_masters} masters, {len(violations)} violations"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
