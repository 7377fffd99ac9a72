"""What every journal must do; inherit the class and give it a factory."""

from collections.abc import Sequence

from bohb_service.journal.journal import Journal
from bohb_service.optimizer.brackets import Rung
from bohb_service.optimizer.observation import Observation
from bohb_service.scheduler.events import (
    BracketOpened,
    ConfigurationSuggested,
    Event,
    MasterStarted,
    RungClosed,
    StudyReopened,
    StudyStopped,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialLeased,
    TrialRequeued,
    WarmStarted,
    WorkerJoined,
    WorkerLeft,
    WorkerPlaced,
)
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId

ONE_OF_EACH: Sequence[Event] = (
    MasterStarted("0.1.0", "head", 17, "0123456789abcdef", 2),
    WorkerJoined("w", "node", 18, "0.1.0"),
    WorkerLeft("w", "its process died", is_lost=True),
    WorkerPlaced("w", "0123456789abcdef"),
    WarmStarted((Observation(-1, {"x": 0.5, "kind": "ü"}, 9.0, 0.25), Observation(-2, {"x": 1}, 3.0, float("inf")))),
    BracketOpened(0, (Rung(3, 1.0), Rung(1, 3.0))),
    ConfigurationSuggested(0, {"x": 1e-300, "n": 3, "flag": True, "none": None}, "model"),
    TrialLeased(TrialId(0, 0), 0, 1.0, 0, 1, "w"),
    TrialRequeued(TrialId(0, 0), 0, "lost", "gone", used_attempt=True),
    TrialCompleted(TrialId(0, 0), 0, 0.1 + 0.2, {"a": [1, {"b": "c"}]}, 1.5, ((1.0, 0.5), (2.0, 0.25))),
    TrialFailed(TrialId(1, 0), 1, "exception", "ValueError: x", "Traceback ...", 0.5, ()),
    TrialAbandoned(TrialId(2, 0), 2, "lost", "gone"),
    RungClosed(0, 0, (2, 0)),
    StudyStopped("brackets"),
    TrialLeased(TrialId(0, REFIT_RUNG), -1, 3.0, 3, 1, "w"),
    StudyReopened(),
)
"""One event of each kind, with the values that are hard to keep."""


class JournalConformance:
    """Tests of the contract of `Journal`."""

    def make(self) -> Journal:
        """A new, empty journal."""
        raise NotImplementedError

    def test_new_journal_is_empty(self) -> None:
        """Nothing is read before anything is appended."""
        assert list(self.make().read()) == []

    def test_every_kind_of_event_comes_back_equal(self) -> None:
        """What is appended is read, exactly and in order."""
        journal = self.make()
        journal.append([(float(i), event) for i, event in enumerate(ONE_OF_EACH)])
        records = list(journal.read())
        assert [record.event for record in records] == list(ONE_OF_EACH)
        assert [record.seq for record in records] == list(range(1, len(ONE_OF_EACH) + 1))
        assert [record.at for record in records] == [float(i) for i in range(len(ONE_OF_EACH))]

    def test_appends_continue_the_order(self) -> None:
        """A later append comes after an earlier one."""
        journal = self.make()
        journal.append([(1.0, StudyStopped("a"))])
        journal.append([(0.5, StudyStopped("b")), (0.6, StudyStopped("c"))])
        assert [record.seq for record in journal.read()] == [1, 2, 3]
        assert [getattr(record.event, "reason", "") for record in journal.read()] == ["a", "b", "c"]

    def test_reading_can_begin_anywhere(self) -> None:
        """`after` skips the records up to it."""
        journal = self.make()
        journal.append([(0.0, StudyStopped(str(i))) for i in range(5)])
        assert [record.seq for record in journal.read(after=3)] == [4, 5]
        assert list(journal.read(after=5)) == []

    def test_empty_append_changes_nothing(self) -> None:
        """An empty sequence is allowed."""
        journal = self.make()
        journal.append([])
        assert list(journal.read()) == []
