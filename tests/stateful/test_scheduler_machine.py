"""Any order of asks, results, losses, duplicates, late results, restarts and halts keeps the study sound."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from bohb_service.journal.memory import MemoryJournal
from bohb_service.optimizer.brackets import HyperbandSchedule, SizeRule
from bohb_service.scheduler.commands import Ask, Command, Halt, Reopen, Suggest, Tell
from bohb_service.scheduler.invariants import check_invariants
from bohb_service.scheduler.outcomes import Completed, Failed, Outcome, Released
from bohb_service.scheduler.replies import Job, Reply, Stop, Wait
from bohb_service.scheduler.scheduler import Scheduler
from bohb_service.scheduler.settings import Settings
from bohb_service.scheduler.stopping import StopRules
from bohb_service.scheduler.trial import REFIT_RUNG

WORKERS = st.sampled_from(["a", "b", "c"])
LOSSES = st.integers(0, 3).map(float)
OUTCOMES = st.one_of(
    LOSSES.map(Completed),
    LOSSES.map(Completed),
    st.just(Failed("exception", "boom")),
    st.just(Released("lost", "gone")),
    st.just(Released("preempted", "evicted")),
    st.just(Released("unstarted", "left")),
)


class SchedulerMachine(RuleBasedStateMachine):
    leases = Bundle("leases")

    @initialize(
        top=st.integers(1, 3),
        stop=st.builds(
            StopRules,
            brackets=st.one_of(st.none(), st.integers(1, 4)),
            evaluations=st.one_of(st.none(), st.integers(1, 20)),
            full_budgets=st.one_of(st.none(), st.floats(0.3, 9)),
            loss=st.one_of(st.none(), st.just(0.0)),
        ).filter(lambda rules: rules.brackets or rules.evaluations or rules.full_budgets),
        max_attempts=st.integers(1, 3),
        refit=st.booleans(),
    )
    def begin(self, *, top: int, stop: StopRules, max_attempts: int, refit: bool) -> None:
        schedule = HyperbandSchedule(1, 2**top, 2, SizeRule.PAPER, integer=True)
        self.settings = Settings(schedule, stop, max_attempts, float(2**top), seed=1, refit=refit)
        self.scheduler = Scheduler(self.settings)
        self.journal = MemoryJournal()

    def do(self, command: Command) -> Reply:
        transition = self.scheduler.handle(command)
        self.journal.append([(0.0, event) for event in transition.events])
        return transition.reply

    @rule(target=leases, worker=WORKERS)
    def ask(self, worker: str) -> int:
        reply = self.do(Ask(worker))
        while isinstance(reply, Wait) and reply.needs_suggestion:
            assert self.scheduler.outlook.missing_suggestions(1) == 1
            number = len(self.scheduler.state.configurations)
            self.do(Suggest(number, {"x": number}, "prior"))
            reply = self.do(Ask(worker))
        if isinstance(reply, Stop):
            assert self.scheduler.is_finished
        if not isinstance(reply, Job):
            return -1
        assert self.scheduler.state.holds(reply.lease, worker)
        assert reply.previous_budget is None or reply.previous_budget <= reply.budget
        return reply.lease

    @rule(lease=consumes(leases), outcome=OUTCOMES)
    def tell(self, lease: int, outcome: Outcome) -> None:
        self.do(Tell(lease, outcome))

    @rule(lease=leases, outcome=OUTCOMES)
    def tell_and_perhaps_again_later(self, lease: int, outcome: Outcome) -> None:
        trial = self.scheduler.state.trial_of(lease)
        is_settled = trial is None or trial.state.is_final
        events = self.scheduler.handle(Tell(lease, outcome)).events
        self.journal.append([(0.0, event) for event in events])
        assert not (is_settled and events)

    @rule(ahead=st.integers(0, 4))
    def suggest_ahead(self, ahead: int) -> None:
        for _ in range(self.scheduler.outlook.missing_suggestions(ahead)):
            number = len(self.scheduler.state.configurations)
            self.do(Suggest(number, {"x": number}, "model"))
        assert self.scheduler.outlook.missing_suggestions(ahead) == 0

    @rule()
    def suggest_a_known_number(self) -> None:
        number = len(self.scheduler.state.configurations)
        events = self.scheduler.handle(Suggest(number + 1, {"x": 0}, "prior")).events
        events += self.scheduler.handle(Suggest(number - 1, {"x": 0}, "prior")).events
        assert not events

    @rule()
    def kill_and_replay(self) -> None:
        replayed = Scheduler(self.settings)
        for record in self.journal.read():
            replayed.state.apply(record.event)
        assert vars_of(replayed) == vars_of(self.scheduler)
        self.scheduler = replayed

    @rule()
    @precondition(lambda self: self.scheduler.state.started > 6)
    def halt(self) -> None:
        self.do(Halt("seconds"))
        assert self.scheduler.state.stop_reason is not None

    @rule()
    @precondition(lambda self: self.scheduler.state.stop_reason == "seconds")
    def reopen(self) -> None:
        assert not self.scheduler.handle(Reopen()).events
        self.do(Reopen(frozenset({"seconds"})))

    @invariant()
    def is_sound(self) -> None:
        check_invariants(self.scheduler)

    def teardown(self) -> None:
        """Whatever happened, an obedient worker brings the study to its end."""
        if not hasattr(self, "scheduler"):
            return
        for lease in list(self.scheduler.state.current):
            self.do(Tell(lease, Released("lost", "gone")))
        for _ in range(500):
            lease = self.ask("z")
            if lease < 0:
                break
            check_invariants(self.scheduler)
            self.do(Tell(lease, Completed(float(lease % 3) + 1)))
        assert self.scheduler.is_finished
        state = self.scheduler.state
        refits = [trial for trial in state.trials.values() if trial.id.rung == REFIT_RUNG]
        assert bool(refits) <= self.settings.refit
        assert all(math.isfinite(o.loss) or o.loss == math.inf for o in state.observations)


def vars_of(scheduler: Scheduler) -> dict[str, object]:
    def plain(value: object) -> object:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return {name: plain(getattr(value, name)) for name in value.__slots__} if hasattr(value, "__slots__") else value

    return {name: plain(value) for name, value in vars(scheduler.state).items()}


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(stateful_step_count=50, deadline=None)
TestSchedulerMachine = pytest.mark.timeout(180)(TestSchedulerMachine)
