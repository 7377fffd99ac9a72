"""Figures for monitoring: what is counted, how the page reads, and who may read it."""

import contextlib
import socket
import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bohb_service.api.metering import Metering, TimedJournal, snapshot_of
from bohb_service.cli.options import Listen
from bohb_service.clock import SystemClock
from bohb_service.errors import TransportError
from bohb_service.journal.memory import MemoryJournal
from bohb_service.metrics.meter import FRESH_S, Meter
from bohb_service.metrics.page import MAX_READERS, READER_S, MetricsPage, _Handler
from bohb_service.metrics.tally import Tally
from bohb_service.optimizer.brackets import FullBudgetSchedule, SuccessiveHalvingSchedule
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.rpc.server import Server
from bohb_service.scheduler.events import MasterStarted, TrialFailed, TrialRequeued
from bohb_service.scheduler.outcomes import Completed, Failed, Released
from bohb_service.scheduler.trial import REFIT_RUNG, TrialId
from tests.house import Peer, houses


@pytest.fixture
def house():
    with houses() as make:
        yield make


@pytest.fixture
def port():
    server = Server(Endpoint(), "study", SystemClock())
    yield server
    server.close()


def read(address, path="/metrics"):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def samples(text):
    """Values by name and labels, as Prometheus reads them."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told_by(meter):
    with MetricsPage("127.0.0.1", 0, meter.registry) as page:
        return samples(read(page.address)[1])


def test_the_figures_of_a_master(house, port):
    here = house(schedule=SuccessiveHalvingSchedule(1, 9), brackets=2)
    meter = Meter(lambda: snapshot_of(here.master, port))
    count = meter.follow(here.scheduler.state)
    busy, gone = Peer(here, "busy"), Peer(here, "gone")
    first = busy.ask().jobs[0]
    second = busy.ask(results=((first.lease, Completed(0.5, seconds=2.0)),)).jobs[0]
    third = busy.ask(results=((second.lease, Failed("exception", "no", seconds=0.2)),)).jobs[0]
    busy.ask(results=((third.lease, Released("preempted", "node needed")),))
    here.master.disconnected(gone.session)
    here.pump()
    count([(record.at, record.event) for record in here.records()])
    told = told_by(meter)

    info = ("bohb_study_info", ("study", "study"), ("study_id", "id"))
    assert any(key[:3] == info for key in told)
    assert told["bohb_study_state", ("state", "running")] == 1
    assert told["bohb_study_state", ("state", "finished")] == 0
    assert told["bohb_evaluations_total", ("budget", "1"), ("status", "completed")] == 1
    assert told["bohb_evaluations_total", ("budget", "1"), ("status", "failed")] == 1
    assert told["bohb_requeued_total", ("reason", "preempted")] == 1
    assert told["bohb_evaluation_seconds_sum", ("budget", "1")] == pytest.approx(2.2)
    workers = [told["bohb_workers", ("state", state)] for state in ("busy", "idle", "lost")]
    assert workers == [1, 0, 1]
    assert told["bohb_running_evaluations",] == here.scheduler.state.running == 1
    assert told["bohb_incumbent_loss",] == 0.5
    assert told["bohb_incumbent_budget",] == 1
    assert told["bohb_spent_full_budgets_total",] == pytest.approx(here.scheduler.state.spent)
    assert told["bohb_lost_workers_total",] == 0
    assert told["process_resident_memory_bytes",] > 1e6
    assert ("bohb_certificate_expiry_seconds",) not in told


def test_a_master_that_begins_counts_what_was_there_before(house):
    here = house(schedule=FullBudgetSchedule(1, 9), evaluations=9)
    peer = Peer(here)
    job = peer.ask().jobs[0]
    peer.ask(results=((job.lease, Completed(0.5)),))
    heard = []
    tally = Tally(here.scheduler.state, lambda *what: heard.append(what))

    assert dict(tally.ended) == {("completed", "9"): 1}
    trial = TrialId(0, 0)
    tally([(0.0, MasterStarted("1", "h", 1)), (0.0, TrialFailed(trial, 5, "exception", "x", seconds=3.0))])
    tally([(0.0, TrialRequeued(trial, 7, "lost", "x", used_attempt=True))])
    tally([(0.0, TrialFailed(TrialId(0, REFIT_RUNG), 8, "exception", "x"))])
    assert dict(tally.ended) == {("completed", "9"): 1, ("failed", "9"): 1}
    assert dict(tally.requeued) == {"lost": 1}
    assert heard == [("9", 3.0)]


def test_a_late_result_is_counted_once_also_after_a_restart(house, port, monkeypatch):
    monkeypatch.setattr("bohb_service.metrics.meter.FRESH_S", 0.0)
    here = house(schedule=SuccessiveHalvingSchedule(1, 9), brackets=1)
    meter = Meter(lambda: snapshot_of(here.master, port))
    count = meter.follow(here.scheduler.state)
    peer = Peer(here)
    for _ in range(here.scheduler.settings.max_attempts):
        lease = peer.ask().jobs[0].lease
        peer.ask(results=((lease, Released("lost", "killed")),), max_jobs=0, wait_s=0.0)
    n_counted = len(here.records())
    count([(record.at, record.event) for record in here.records()])
    before = told_by(meter)
    peer.ask(results=((lease, Completed(0.5)),), max_jobs=0, wait_s=0.0)
    count([(record.at, record.event) for record in here.records()[n_counted:]])
    after = told_by(meter)
    meter.follow(here.scheduler.state)
    restarted = told_by(meter)

    def ended(told):
        return sum(value for (name, *_), value in told.items() if name == "bohb_evaluations_total")

    assert [ended(told) for told in (before, after, restarted)] == [0, 1, 1]
    assert [told["bohb_abandoned_evaluations",] for told in (before, after, restarted)] == [1, 0, 0]


def test_calls_and_commits_are_timed():
    meter = Meter(lambda: pytest.fail("nobody asked"))
    journal = TimedJournal(MemoryJournal(), meter.committed)
    journal.append([(1.0, MasterStarted("1", "h", 1))])
    for seconds in (0.0001, 0.002):
        meter.called("exchange", seconds)

    told = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in meter.registry.restricted_registry(
            ["bohb_rpc_seconds_count", "bohb_rpc_seconds_sum", "bohb_journal_commit_seconds_count"]
        ).collect()
        for sample in metric.samples
    }
    assert told["bohb_rpc_seconds_count", "exchange"] == 2
    assert told["bohb_rpc_seconds_sum", "exchange"] == pytest.approx(0.0021)
    assert told["bohb_journal_commit_seconds_count",] == 1
    assert [record.event for record in journal.read()] == [MasterStarted("1", "h", 1)]
    journal.close()


def test_who_asks_often_costs_the_master_nothing(house, port, monkeypatch):
    here, asked, now = house(), [], [100.0]
    monkeypatch.setattr("bohb_service.metrics.meter.time.monotonic", lambda: now[0])

    def ask():
        asked.append(now[0])
        return snapshot_of(here.master, port)

    meter = Meter(ask)
    for _ in range(5):
        list(meter.registry.collect())
    now[0] += FRESH_S
    list(meter.registry.collect())

    assert asked == [100.0, 101.0]


# -- the page --------------------------------------------------------------------------------------------------


def test_the_page_is_openmetrics_and_there_is_no_other(house, port):
    here = house()
    with MetricsPage("127.0.0.1", 0, Meter(lambda: snapshot_of(here.master, port)).registry) as page:
        kind, text = read(page.address)
        with pytest.raises(urllib.error.HTTPError) as other:
            read(page.address, "/")

    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    with other.value as answer:
        assert answer.code == 404


def test_a_master_that_does_not_answer_is_told():
    def ask():
        raise TransportError("the master did not answer within 5 s")

    with MetricsPage("127.0.0.1", 0, Meter(ask).registry) as page, pytest.raises(urllib.error.HTTPError) as error:
        read(page.address)

    with error.value as answer:
        assert answer.code == 503
        assert b"did not answer" in answer.read()


def test_silent_readers_hold_up_nobody(monkeypatch):
    assert _Handler.timeout == READER_S
    monkeypatch.setattr(_Handler, "timeout", 600.0)
    with MetricsPage("127.0.0.1", 0, CollectorRegistry()) as page, contextlib.ExitStack() as stack:
        host, _, number = page.address.rpartition(":")
        for _ in range(100):
            stack.enter_context(socket.create_connection((host, int(number))))

        assert read(page.address)
        # There is never a thread for more of them, and those that came first were sent away.
        assert sum("process_request_thread" in thread.name for thread in threading.enumerate()) <= MAX_READERS


def test_a_moment_without_threads_costs_no_reader_after_it(monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with MetricsPage("127.0.0.1", 0, CollectorRegistry()) as page:
        with monkeypatch.context() as broken:
            broken.setattr(threading.Thread, "start", refuse)
            for _ in range(MAX_READERS + 1):
                with pytest.raises(OSError):
                    read(page.address)
        assert read(page.address)


def test_a_taken_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        number = holder.getsockname()[1]
        with pytest.raises(TransportError, match=rf"cannot show metrics at 127\.0\.0\.1:{number}: .* --metrics"):
            MetricsPage("127.0.0.1", number, CollectorRegistry())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("9091", ("127.0.0.1", 9091)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:9091", ("::1", 9091)),
        ("head.example.org:1", ("head.example.org", 1)),
    ],
)
def test_where_the_page_may_be(text, place):
    assert Listen().convert(text, None, None) == place


@pytest.mark.parametrize("text", ["", "x", ":9091", "99999", "::1:9091", "host:"])
def test_where_it_may_not_be(text):
    with pytest.raises(Exception, match=r"PORT|brackets"):
        Listen().convert(text, None, None)


def test_two_listeners_hear_the_same(house):
    here, heard = house(), []
    metering = Metering(("127.0.0.1", 0), lambda: pytest.fail("nobody asked"))
    both = metering.beside(heard.extend, here.scheduler.state)
    entry = (1.0, TrialRequeued(TrialId(0, 0), 0, "lost", "x", used_attempt=True))
    both([entry])

    assert heard == [entry]
    assert metering.meter.follow(here.scheduler.state) is not None
