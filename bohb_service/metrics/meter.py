"""The figures of one master in a registry of their own, from which pages are made."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bohb_service.metrics.snapshot import Snapshot
from bohb_service.metrics.tally import Tally
from bohb_service.scheduler.state import StudyState

FRESH_S = 1.0
"""Within so many seconds nothing is asked anew: who asks often costs the master nothing."""

_STATES = ("running", "draining", "refitting", "finished")
_RPC_BUCKETS = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.25, 1.0)
_COMMIT_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5)
_EVALUATION_BUCKETS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


class Meter:
    """What is measured of one master. No label is of a configuration, trial or worker, so there are few series.

    Attributes:
        registry: Everything of it, and the figures of the process.

    Args:
        ask: Returns the master's present figures; called by whoever makes a page, at most every `FRESH_S`.
    """

    def __init__(self, ask: Callable[[], Snapshot]) -> None:
        self.registry = CollectorRegistry()
        self._ask = ask
        self._tally: Tally | None = None
        self._rpc = _Observers(
            Histogram(
                "bohb_rpc_seconds",
                "Time for which a call kept the event loop busy",
                ["method"],
                buckets=_RPC_BUCKETS,
                registry=self.registry,
            )
        )
        self._evaluations = _Observers(
            Histogram(
                "bohb_evaluation_seconds",
                "Wall time of evaluations with a result, since this master started",
                ["budget"],
                buckets=_EVALUATION_BUCKETS,
                registry=self.registry,
            )
        )
        self._commits = Histogram(
            "bohb_journal_commit_seconds",
            "Time until events are on disk",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_Figures(self._fresh, lambda: self._tally))
        self._lock = threading.Lock()
        self._last: tuple[float, Snapshot] | None = None

    def follow(self, state: StudyState) -> Tally:
        """The listener that counts the events of a study from now on."""
        self._tally = Tally(state, self._evaluations.observe)
        return self._tally

    def called(self, method: str, seconds: float) -> None:
        """Note how long a call kept the event loop busy."""
        self._rpc.observe(method, seconds)

    def committed(self, seconds: float) -> None:
        """Note how long a commit took."""
        self._commits.observe(seconds)

    def _fresh(self) -> Snapshot:
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] >= FRESH_S:
                self._last = (time.monotonic(), self._ask())
            return self._last[1]


class _Observers:
    """A histogram whose series by the value of its label are found fast."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._series: dict[str, Histogram] = {}

    def observe(self, label: str, value: float) -> None:
        """Add a value to the series of a label."""
        series = self._series.get(label)
        if series is None:
            series = self._series[label] = self._histogram.labels(label)
        series.observe(value)


class _Figures(Collector):
    """The figures that are asked for when a page is made."""

    def __init__(self, ask: Callable[[], Snapshot], tally: Callable[[], Tally | None]) -> None:
        self._ask = ask
        self._tally = tally

    def describe(self) -> list[Metric]:
        """Nothing: what there is, is known when it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures."""
        now = self._ask()
        about = {"study": now.study, "study_id": now.study_id, "version": now.version}
        yield InfoMetricFamily("bohb_study", "The study that this master serves", value=about)
        states = {state: float(state == now.state) for state in _STATES}
        yield _gauges("bohb_study_state", "1 for the state that the study is in", "state", states)
        yield from self._evaluations(now)
        yield from _workers(now)
        yield from _progress(now)
        yield GaugeMetricFamily("bohb_connections", "Open connections", value=now.connections)
        yield _counters("bohb_refused_peers", "Peers that were refused", "reason", now.refused)
        if now.certificate_days is not None:
            text = "Seconds until the master's certificate expires"
            yield GaugeMetricFamily("bohb_certificate_expiry_seconds", text, value=86_400.0 * now.certificate_days)

    def _evaluations(self, now: Snapshot) -> Iterator[Metric]:
        tally = self._tally()
        ended = CounterMetricFamily("bohb_evaluations", "Evaluations that have a result", labels=["status", "budget"])
        # One step of the interpreter each: the master's thread may count meanwhile.
        for (status, budget), count in sorted(dict(tally.ended).items()) if tally is not None else ():
            ended.add_metric([status, budget], count)
        yield ended
        requeued = dict(tally.requeued) if tally is not None else {}
        text = "Leases that came back without a result, since this master started"
        yield _counters("bohb_requeued", text, "reason", requeued)
        yield GaugeMetricFamily("bohb_running_evaluations", "Evaluations that run", value=now.running)
        text = "Trials whose last attempt was lost; one gets a result if that comes before its rung is closed"
        yield GaugeMetricFamily("bohb_abandoned_evaluations", text, value=now.abandoned)
        text = "Trials that wait for a worker: promoted, or to be done again"
        yield GaugeMetricFamily("bohb_queue_depth", text, value=now.queued)


def _workers(now: Snapshot) -> Iterator[Metric]:
    yield _gauges("bohb_workers", "Workers that are there", "state", now.workers)
    yield GaugeMetricFamily("bohb_workers_waiting", "Workers that wait for a job", value=now.waiting)
    yield CounterMetricFamily("bohb_lost_workers", "How often a worker was lost", value=now.lost_workers)


def _progress(now: Snapshot) -> Iterator[Metric]:
    origins = {"model": now.from_model, "other": now.configurations - now.from_model}
    yield _counters("bohb_configurations", "Configurations that were suggested", "origin", origins)
    if now.incumbent_loss is not None and now.incumbent_budget is not None:
        yield GaugeMetricFamily("bohb_incumbent_loss", "Loss of the incumbent", value=now.incumbent_loss)
        yield GaugeMetricFamily("bohb_incumbent_budget", "Budget of the incumbent", value=now.incumbent_budget)
    text = "Budgets of all evaluations started, in units of the largest budget"
    yield CounterMetricFamily("bohb_spent_full_budgets", text, value=now.spent)
    yield GaugeMetricFamily("bohb_elapsed_seconds", "Working time of the study", value=now.elapsed_s)
    text = "How much of the study is done, by the stopping rule that is nearest"
    yield GaugeMetricFamily("bohb_done_ratio", text, value=now.share_done)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
