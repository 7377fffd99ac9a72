"""What a running master says of itself, against values worked out by hand."""

import math

import pytest

from bohb_service._version import VERSION
from bohb_service.api.find_master import by_run_directory
from bohb_service.clock import SystemClock
from bohb_service.doctor.worker_side import WorkerPlace, examine_worker
from bohb_service.errors import MasterUnreachableError, StudyEndedError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.master.status import progress_of, status_of
from bohb_service.master.terms import StudyFacts
from bohb_service.optimizer.brackets import FullBudgetSchedule, HyperbandSchedule, SuccessiveHalvingSchedule
from bohb_service.rpc.messages import FAULT, Report
from bohb_service.scheduler.commands import Ask, Halt, Suggest, Tell
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.scheduler.trial import REFIT_RUNG
from tests.house import Peer, houses


@pytest.fixture
def house():
    with houses() as make:
        yield make


def scheduler_of(schedule, *, refit=False, **stop):
    return Scheduler(Settings(schedule, StopRules(**stop), 2, 9.0, seed=0, refit=refit))


def ask(scheduler, worker="w", origin="prior"):
    reply = scheduler.handle(Ask(worker)).reply
    if not isinstance(reply, Job) and getattr(reply, "needs_suggestion", False):
        number = len(scheduler.state.configurations)
        scheduler.handle(Suggest(number, {"x": number}, origin))
        reply = scheduler.handle(Ask(worker)).reply
    return reply


def rung(budget, size, best=None, **counts):
    states = dict.fromkeys(("queued", "leased", "completed", "failed", "abandoned"), 0)
    return {"budget": budget, "size": size, "best": best, **states, **counts}


def test_a_study_that_has_not_begun(house):
    here = house(brackets=3)
    assert here.master.status() == {
        "study": "study",
        "study_id": "id",
        "version": VERSION,
        "state": "running",
        "stop_reason": None,
        "elapsed_s": 0.0,
        "eta_s": None,
        "share_done": 0.0,
        "evaluations": dict.fromkeys(("started", "completed", "failed", "abandoned", "running", "requeued"), 0),
        "spent": 0.0,
        "configurations": 0,
        "from_model": 0,
        "incumbent": None,
        "refit": None,
        "brackets": [],
        "min_workers": 0,
        "workers": [],
        "lost_workers": [],
        "unfit": [],
        "foreign_leases": 0,
        "failures": [],
    }


def test_progress_counts_every_kind_of_ending():
    scheduler = scheduler_of(SuccessiveHalvingSchedule(3, 9), brackets=2)
    first, second, third = (ask(scheduler, origin=origin) for origin in ("prior", "model", "model"))
    scheduler.handle(Tell(first.lease, Completed(0.5)))
    scheduler.handle(Tell(second.lease, Failed("timeout", "too slow")))
    scheduler.handle(Tell(third.lease, Completed(0.25)))
    top = ask(scheduler)
    for _ in range(2):
        job = ask(scheduler)
        scheduler.handle(Tell(job.lease, Released("lost", "gone")))
    ask(scheduler)
    progress = progress_of(scheduler)
    assert progress["evaluations"] == {
        "started": 6,
        "completed": 2,
        "failed": 1,
        "abandoned": 1,
        "running": 2,
        "requeued": 1,
    }
    assert progress["spent"] == pytest.approx(5 * 3 / 9 + 1)
    assert (progress["configurations"], progress["from_model"]) == (5, 2)
    assert progress["incumbent"] == {
        "trial": "2.0",
        "config": {"x": 2},
        "origin": "model",
        "budget": 3,
        "loss": 0.25,
    }
    assert progress["brackets"] == [
        {
            "bracket": 0,
            "is_over": False,
            "rungs": [rung(3, 3, 0.25, completed=2, failed=1), rung(9, 1, leased=1)],
        },
        {"bracket": 1, "is_over": False, "rungs": [rung(3, 3, leased=1, abandoned=1), rung(9, 1)]},
    ]
    scheduler.handle(Tell(top.lease, Completed(0.75)))
    progress = progress_of(scheduler)
    assert progress["brackets"][0] == {
        "bracket": 0,
        "is_over": True,
        "rungs": [rung(3, 3, 0.25, completed=2, failed=1), rung(9, 1, 0.75, completed=1)],
    }
    assert progress["incumbent"] == {"trial": "2.1", "config": {"x": 2}, "origin": "model", "budget": 9, "loss": 0.75}


def test_a_requeued_trial_waits_in_its_bracket():
    scheduler = scheduler_of(FullBudgetSchedule(1, 9), brackets=1)
    scheduler.handle(Tell(ask(scheduler).lease, Released("preempted", "evicted")))
    assert progress_of(scheduler)["brackets"][0]["rungs"] == [rung(9, 1, queued=1)]


def test_failures_alone_have_no_best_loss():
    scheduler = scheduler_of(FullBudgetSchedule(1, 9), brackets=1)
    scheduler.handle(Tell(ask(scheduler).lease, Failed("exception", "boom")))
    progress = progress_of(scheduler)
    assert progress["brackets"][0]["rungs"] == [rung(9, 1, None, failed=1)]
    assert progress["incumbent"] is None


def test_only_the_last_dozen_brackets_are_told():
    scheduler = scheduler_of(FullBudgetSchedule(1, 9), brackets=20)
    for _ in range(15):
        ask(scheduler)
    assert [bracket["bracket"] for bracket in progress_of(scheduler)["brackets"]] == list(range(3, 15))


def test_workers_are_idle_busy_or_lost(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    busy, gone = Peer(here, "busy", pid=7, host="node"), Peer(here, "gone")
    first = busy.ask().jobs[0]
    second = busy.ask(results=((first.lease, Completed(0.5, seconds=1.5)),)).jobs[0]
    here.clock.advance(3)
    Peer(here, "idle")
    here.master.disconnected(gone.session)
    here.clock.advance(2)
    told = {worker.pop("name"): worker for worker in here.master.status()["workers"]}
    assert list(told) == ["busy", "gone", "idle"]
    assert told["busy"] == {
        "host": "node",
        "pid": 7,
        "version": "0",
        "state": "busy",
        "trials": [{"trial": str(second.trial), "budget": 9, "step": None, "loss": None, "leased_s": 5.0}],
        "seen_s": 5.0,
        "finished": 1,
        "busy_s": 1.5,
    }
    assert (told["gone"]["state"], told["gone"]["seen_s"]) == ("lost", 5.0)
    assert told["idle"] == {
        "host": "elsewhere",
        "pid": 1,
        "version": "0",
        "state": "idle",
        "trials": [],
        "seen_s": 2.0,
        "finished": 0,
        "busy_s": 0.0,
    }


def test_the_last_reported_loss_of_a_running_trial_is_told(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer, other = Peer(here), Peer(here, "other")
    lease = peer.ask().jobs[0].lease

    def told():
        (trial,) = here.master.status()["workers"][0]["trials"]
        return trial["step"], trial["loss"]

    def report(sender, *points):
        reports = tuple(Report(lease, step, loss) for step, loss in points)
        held = (lease,) if sender is peer else ()
        sender.ask(reports=reports, running=held, max_jobs=0, wait_s=0.0)

    report(peer, (1.0, 0.5), (2.0, 0.25))
    assert told() == (2.0, 0.25)
    report(other, (9.0, 0.0))
    assert told() == (2.0, 0.25)
    report(peer, (3.0, math.inf))
    assert told() == (3.0, None)
    peer.ask(results=((lease, Completed(0.5)),), max_jobs=0, wait_s=0.0)
    assert here.master.status()["workers"][0]["trials"] == []
    assert not here.master.books.reports


def test_the_last_twenty_failures_and_lost_workers_are_told(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=99)
    peer = Peer(here)
    results = ()
    for number in range(25):
        job = peer.ask(results=results).jobs[0]
        results = ((job.lease, Failed("exception", f"failure {number}")),)
        leaver = Peer(here, f"leaver {number}")
        here.master.goodbye(leaver.session, (), f"{FAULT}reason {number}")
        here.master.goodbye(Peer(here, "orderly").session, (), "drained")
    peer.ask(results=results)
    status = here.master.status()
    assert status["failures"] == [
        {"trial": f"{number}.0", "reason": "exception", "message": f"failure {number}"} for number in range(5, 25)
    ]
    assert status["lost_workers"] == [
        {"name": f"leaver {number}", "reason": f"reason {number}"} for number in range(5, 25)
    ]


def test_the_phases_of_a_study(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=1, refit=True)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    assert here.master.status()["state"] == "running"
    refit = peer.ask(results=((job.lease, Completed(0.5)),)).jobs[0]
    assert refit.trial.rung == REFIT_RUNG
    status = here.master.status()
    assert (status["state"], status["stop_reason"], status["refit"]) == ("refitting", "evaluations", None)
    peer.ask(results=((refit.lease, Completed(0.5, {"test_error": 0.25})),))
    status = here.master.status()
    assert (status["state"], status["refit"]) == ("finished", {"test_error": 0.25})


def test_draining_is_a_phase_only_of_a_search_that_goes_on(house):
    here = house(evaluations=3)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    here.master.drain()
    assert here.master.status()["state"] == "draining"
    peer.ask(running=(job.lease,), max_jobs=0, wait_s=0.0)
    here.scheduler.handle(Halt("seconds"))
    assert here.master.status()["state"] == "finished"


def play(scheduler, n):
    for number in range(n):
        job = ask(scheduler)
        scheduler.handle(Tell(job.lease, Completed(float(number))))


# Budgets 1, 3, 9: a cycle of brackets costs 9/9 + 3*3/9 + 1, then 5*3/9 + 1, then 3 full budgets.
FIRST, CYCLE = 3.0, 3.0 + (5 / 3 + 1) + 3.0


@pytest.mark.parametrize(
    ("n", "stop", "share"),
    [
        (9, {"brackets": 1}, 1 / FIRST),
        (9, {"brackets": 3}, 1 / CYCLE),
        (9, {"brackets": 4}, 1 / (CYCLE + FIRST)),
        (9, {"brackets": 8}, 1 / (2 * CYCLE + FIRST + 5 / 3 + 1)),
        (9, {"evaluations": 36}, 0.25),
        (9, {"full_budgets": 5.0}, 0.2),
        (9, {"evaluations": 36, "full_budgets": 5.0, "brackets": 30}, 0.25),
        (9, {"evaluations": 360, "full_budgets": 5.0}, 0.2),
        (0, {"evaluations": 36}, 0.0),
        (9, {"loss": -1.0}, 0.0),
    ],
)
def test_the_share_that_is_done_is_that_of_the_nearest_rule(house, n, stop, share):
    scheduler = scheduler_of(HyperbandSchedule(1, 9), **stop)
    play(scheduler, n)
    here = house(scheduler=scheduler)
    assert here.master.status()["share_done"] == pytest.approx(share)


def test_the_time_that_is_left_follows_from_the_share(house):
    facts = StudyFacts("study", "id", "w", {}, "/c", None, None, seconds_limit=1000.0, seconds_before=15.0)
    here = house(facts=facts, brackets=300)
    here.clock.advance(4)
    status = here.master.status()
    assert (status["elapsed_s"], status["share_done"], status["eta_s"]) == (19.0, 0.019, None)
    here.clock.advance(1)
    assert here.master.status()["eta_s"] == pytest.approx(980.0)
    here.clock.advance(230)
    status = here.master.status()
    assert status["share_done"] == 0.25
    assert status["eta_s"] == pytest.approx(750.0)
    here.clock.advance(1000)
    status = status_of(here.master, here.clock.monotonic())
    assert (status["share_done"], status["eta_s"]) == (1.0, 0.0)
    here.master.tick()
    status = here.master.status()
    assert (status["stop_reason"], status["eta_s"]) == ("seconds", None)


def test_a_worker_is_told_when_there_is_no_such_folder(tmp_path):
    with pytest.raises(MasterUnreachableError, match="rnu now, and there is no such folder yet; start one"):
        by_run_directory(tmp_path / "rnu")()
    with pytest.raises(MasterUnreachableError, match="now; start one with"):
        by_run_directory(tmp_path)()


def test_a_worker_is_told_when_the_study_has_ended(tmp_path):
    RunDirectory(tmp_path).write_ended()
    with pytest.raises(StudyEndedError, match="has ended; to go on, run it with wider stopping rules"):
        by_run_directory(tmp_path)()
    (told,) = [found for found in examine_worker(WorkerPlace(tmp_path), SystemClock()) if found.check == "master"]
    assert (told.status, "has ended" in told.found) == ("ok", True)

    RunDirectory(tmp_path).remove_ended()
    assert not RunDirectory(tmp_path).has_ended
