"""The rules of a run, written down a second time: a journal replayed without anything of the service.

The journal is read as the SQLite file that it is. Times are not looked at, so clocks may jump.
"""

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

REFIT = "refit"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and the record that shows it."""

    rule: str
    text: str
    record: str = ""

    def __str__(self):
        return f"{self.rule}: {self.text}" + (f"\n    {self.record}" if self.record else "")


@dataclass(slots=True)
class Trial:
    bracket: int
    rung: int | None
    budget: float
    state: str = "queued"
    lease: int | None = None
    used: int = 0
    loss: float | None = None
    is_closed: bool = False


@dataclass(slots=True)
class Lease:
    trial: str
    worker: str
    attempt: int
    budget: float
    record: str
    end: str | None = None


@dataclass(slots=True)
class Bracket:
    plan: list
    members: list = field(default_factory=lambda: [[]])
    is_over: bool = False


class History:
    """The journal, replayed by the rules of this file."""

    def __init__(self, meta, rows):
        self.study = json.loads(meta["study"])
        self.wants_refit = meta["refit"] == "true" and self.study["refit"]
        self.violations: list[Violation] = []
        self.configurations: dict[int, dict] = {}
        self.brackets: list[Bracket] = []
        self.trials: dict[str, Trial] = {}
        self.leases: list[Lease] = []
        self.results: list[tuple[str, str, dict]] = []
        self.deaths: list[tuple[str, str]] = []
        self.joined: set[str] = set()
        self.tells_presence = False
        self.stop: str | None = None
        self.n_masters = self.n_requeued = 0
        self.best: tuple[float, float, str] | None = None
        self._record = ""
        for expected, (seq, kind, body) in enumerate(rows, start=1):
            self._record = f"{seq} {kind} {body}"
            if seq != expected:
                self.broken("sequence", f"record {expected} is missing")
                break
            self._take(kind, json.loads(body))
        self._record = ""
        if self.stop is not None:
            self._check_end(self.stop)

    @property
    def started(self):
        """Trials of the search that were ever leased."""
        names = {lease.trial for lease in self.leases}
        return {name: trial for name, trial in self.trials.items() if name in names and trial.rung is not None}

    @property
    def is_finished(self):
        if self.stop is None:
            return False
        refit = self.trials.get(f"{self.best[2].split('.')[0]}.{REFIT}") if self.best else None
        due = self.wants_refit and self.best is not None
        return not due or (refit is not None and refit.state in {"completed", "failed", "abandoned"})

    def broken(self, rule, text, record=None):
        self.violations.append(Violation(rule, text, self._record if record is None else record))

    def _take(self, kind, body):  # noqa: C901, PLR0912  (one case an event)
        match kind:
            case "MasterStarted":
                self.n_masters += 1
            case "WorkerJoined":
                self.joined.add(body["worker"])
                self.tells_presence = True
            case "WorkerLeft":
                self._leave(body["worker"], body["reason"])
            case "WorkerPlaced":
                if body["worker"] not in self.joined:
                    self.broken("presence", f"worker {body['worker']} has a place, but is not there")
            case "WarmStarted":
                pass
            case "ConfigurationSuggested":
                if body["configuration"] != len(self.configurations):
                    self.broken("configuration-number", f"configuration {len(self.configurations)} is next")
                self.configurations[body["configuration"]] = body["values"]
            case "BracketOpened":
                self._open(body["bracket"], body["rungs"])
            case "TrialLeased":
                self._lease(body)
            case "TrialCompleted" | "TrialFailed" | "TrialRequeued" | "TrialAbandoned":
                self._end(kind, body)
            case "RungClosed":
                self._close(body["bracket"], body["rung"], body["promoted"])
            case "StudyStopped":
                self.stop = body["reason"]
                for lease in (trial.lease for trial in self.trials.values() if trial.lease is not None):
                    self.broken("lease-end", f"the search stops while lease {lease} is current")
            case "StudyReopened":
                self.stop = None
            case _:
                self.broken("kind", f"there is no rule for {kind}")

    def _leave(self, worker, reason):
        if not reason:
            self.broken("reason", f"{worker} leaves without a stated reason")
        if worker not in self.joined:
            self.broken("presence", f"{worker} leaves, but has not joined")
        self.joined.discard(worker)

    def _open(self, index, rungs):
        if index != len(self.brackets):
            self.broken("bracket-number", f"bracket {len(self.brackets)} is next")
        plans = paper_plans(self.study)
        if plans is not None and rungs != plans[len(self.brackets) % len(plans)]:
            self.broken("plan", f"the plan is {plans[len(self.brackets) % len(plans)]}")
        self.brackets.append(Bracket(rungs))

    def _lease(self, body):
        name, number = body["trial"], body["lease"]
        configuration, rung = parse(name)
        if number != len(self.leases):
            self.broken("lease-number", f"lease {len(self.leases)} is next")
        if configuration not in self.configurations:
            self.broken("configuration-number", f"configuration {configuration} was never suggested")
        if self.stop is not None and rung is not None:
            self.broken("after-stop", "a trial of the search is leased after its end")
        trial = self.trials.get(name)
        if trial is None:
            trial = self.trials[name] = Trial(body["bracket"], rung, body["budget"])
            self._enter(name, trial, configuration)
        if trial.state == "leased":
            self.broken("two-leases", f"{name} is leased while lease {trial.lease} is current")
        elif trial.state != "queued":
            self.broken("two-leases", f"{name} is leased although it is {trial.state}")
        self._check_lease(name, trial, body)
        trial.state, trial.lease = "leased", number
        self.leases.append(Lease(name, body["worker"], body["attempt"], body["budget"], self._record))

    def _check_lease(self, name, trial, body):
        if self.tells_presence and body["worker"] not in self.joined:
            self.broken("presence", f"{body['worker']} gets a lease, but is not there")
        if trial.bracket != body["bracket"]:
            self.broken("two-brackets", f"{name} belongs to bracket {trial.bracket}")
        if body["budget"] != self._budget(trial):
            self.broken("budget", f"the budget of {name} is {self._budget(trial)}")
        if body["attempt"] != trial.used + 1:
            self.broken("attempt-number", f"{name} has used {trial.used} attempts, so {trial.used + 1} is next")
        if body["attempt"] > self.study["limits"]["attempts"]:
            self.broken("attempt-limit", f"only {self.study['limits']['attempts']} attempts are allowed")

    def _enter(self, name, trial, configuration):
        """Put a trial that is leased for the first time where it belongs."""
        if trial.rung is None:
            if self.stop is None or self.best is None or self.best[2].split(".")[0] != str(configuration):
                self.broken("refit", f"{name} is not the incumbent's, or the search goes on")
        elif not 0 <= trial.bracket < len(self.brackets):
            self.broken("bracket-number", f"bracket {trial.bracket} is not open")
        elif trial.rung > 0:
            self.broken("promotion", f"{name} was not promoted")
        else:
            taken = [bracket for bracket in self.brackets if configuration in bracket.members[0]]
            bracket = self.brackets[trial.bracket]
            if taken:
                self.broken("two-brackets", f"configuration {configuration} is in a bracket already")
            if len(bracket.members) > 1 or len(bracket.members[0]) >= bracket.plan[0][0]:
                self.broken("plan", f"rung 0 of bracket {trial.bracket} is full")
            bracket.members[0].append(configuration)

    def _budget(self, trial):
        if trial.rung is None or not 0 <= trial.bracket < len(self.brackets):
            return self.study["fidelity"]["max"]
        return self.brackets[trial.bracket].plan[trial.rung][1]

    def _end(self, kind, body):
        name, number = body["trial"], body["lease"]
        trial = self.trials.get(name)
        if trial is None or not 0 <= number < len(self.leases) or self.leases[number].trial != name:
            self.broken("lease-of-another", f"lease {number} was never granted for {name}")
            return
        if kind != "TrialCompleted" and not (body["reason"] and body["message"]):
            self.broken("reason", f"{name} ends without a stated reason")
        if kind in {"TrialCompleted", "TrialFailed"}:
            self._settle(kind, name, trial, body)
            return
        lease, limit = self.leases[number], self.study["limits"]["attempts"]
        self.deaths.append((self._record, lease.worker))
        if trial.lease != number:
            self.broken("lease-end", f"lease {number} is not the current one of {name}")
        is_lost = body["reason"] == "lost"
        lease.end = body["reason"]
        trial.lease = None
        if kind == "TrialAbandoned":
            if not is_lost or lease.attempt != limit:
                self.broken("abandoned", f"{name} had {lease.attempt} of {limit} attempts, reason {body['reason']}")
            trial.state = "abandoned"
            return
        self.n_requeued += 1
        if body["used_attempt"] != is_lost or (is_lost and lease.attempt >= limit):
            self.broken("attempt-used", f"{name} was {body['reason']} at attempt {lease.attempt} of {limit}")
        trial.state = "queued"
        trial.used += body["used_attempt"]

    def _settle(self, kind, name, trial, body):
        if trial.state in {"completed", "failed"}:
            self.broken("two-results", f"{name} is {trial.state} already")
        if trial.is_closed or (self.stop is not None and trial.rung is not None):
            self.broken("late-result", f"{name} gets a result after its rung or the search has ended")
        self.leases[body["lease"]].end = kind
        if trial.lease is not None and trial.lease < len(self.leases):
            self.leases[trial.lease].end = self.leases[trial.lease].end or "overtaken"
        trial.state, trial.lease = ("completed" if kind == "TrialCompleted" else "failed"), None
        self.results.append((kind, self._record, body))
        if kind == "TrialCompleted":
            trial.loss = body["loss"]
            if not isinstance(trial.loss, float | int) or not math.isfinite(trial.loss):
                self.broken("loss", "a loss is a finite number")
            elif trial.rung is not None and (self.best is None or (-trial.budget, trial.loss) < self.best[:2]):
                self.best = (-trial.budget, trial.loss, name)

    def _close(self, index, rung, promoted):
        bracket = self.brackets[index]
        members = bracket.members[-1]
        if rung != len(bracket.members) - 1 or bracket.is_over:
            self.broken("rung", f"bracket {index} is in rung {len(bracket.members) - 1}")
            return
        names = {configuration: f"{configuration}.{rung}" for configuration in members}
        open_ones = [name for name in names.values() if self.trials[name].state in {"queued", "leased"}]
        if open_ones or (rung == 0 and len(members) != bracket.plan[0][0]):
            self.broken("rung", f"rung {rung} of bracket {index} is not done: {open_ones or 'places are free'}")
        losses = {c: self.trials[name].loss for c, name in names.items() if self.trials[name].state == "completed"}
        size = bracket.plan[rung + 1][0] if rung + 1 < len(bracket.plan) else 0
        best = sorted(losses, key=lambda c: (losses[c], c))[:size]
        if promoted != best:
            self.broken("promotion", f"the best {size} of rung {rung} are {best}")
        for name in names.values():
            self.trials[name].is_closed = True
        if not promoted:
            bracket.is_over = True
            return
        bracket.members.append(promoted)
        for configuration in promoted:
            self.trials[f"{configuration}.{rung + 1}"] = Trial(index, rung + 1, bracket.plan[rung + 1][1])

    def _check_end(self, reason):
        """What must hold when the search has ended."""
        rules, started = self.study["stop"], self.started
        spent = sum(trial.budget for trial in started.values()) / self.study["fidelity"]["max"]
        reached = {"brackets": len(self.brackets), "evaluations": len(started), "full_budgets": spent}
        for rule, value in reached.items():
            limit = rules[rule]
            if limit is not None and value > limit * (1 + 1e-9):
                self.broken("stop", f"{rule}: {value} of {limit}")
            if rule == reason and limit is not None and value <= limit - 1:
                self.broken("stop", f"the search ended by {rule} at {value} of {limit}: something was counted twice")
        if reason in reached:
            for name, trial in started.items():
                if trial.state in {"queued", "leased"}:
                    self.broken("unfinished", f"the search has ended, but {name} is {trial.state}")
        if reason == "brackets":
            for index, bracket in enumerate(self.brackets):
                if not bracket.is_over:
                    self.broken("unfinished", f"the search has ended, but bracket {index} has not")


def parse(name):
    """Configuration and rung of a trial's name; the rung of a refit is None."""
    configuration, _, rung = name.partition(".")
    return int(configuration), None if rung == REFIT else int(rung)


def paper_plans(study):
    """The rungs of each bracket of a cycle by the Hyperband paper, or None if the study is of another kind."""
    method, fidelity = study["method"], study["fidelity"]
    if method["name"] not in {"bohb", "hyperband"} or method["sizes"] != "paper" or fidelity["integer"]:
        return None
    eta, top = method["eta"], 0
    while fidelity["max"] / eta ** (top + 1) >= fidelity["min"] * (1 - 1e-9):
        top += 1
    plans = []
    for s in range(top, -1, -1):
        first = math.ceil((top + 1) / (s + 1) * eta**s - 1e-9)
        plans.append(
            [[max(1, math.floor(first / eta**j + 1e-9)), fidelity["max"] / eta ** (s - j)] for j in range(s + 1)]
        )
    return plans


def read_journal(path) -> History:
    """The history in a journal file; a running master may hold it."""
    with closing(sqlite3.connect(path)) as connection:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        return History(meta, connection.execute("SELECT seq, kind, body FROM events ORDER BY seq").fetchall())
