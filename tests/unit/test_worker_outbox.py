"""What the worker process holds: the queue of jobs, and the outbox of outcomes."""

from bohb_service.rpc.messages import Report, Request
from bohb_service.scheduler.outcomes import Completed
from bohb_service.scheduler.replies import Job
from bohb_service.scheduler.trial import TrialId
from bohb_service.worker.outbox import MAX_REPORTS, MAX_RESULT_BYTES, Outbox
from bohb_service.worker.workload import Workload

# -- the queue --------------------------------------------------------------------------------------------------


def workload(tmp_path, n_jobs, size=0):
    jobs = Workload()
    for lease in range(n_jobs):
        jobs.add(Job(lease, TrialId(lease, 0), 1, {"x": "x" * size}, 1.0, None, 0), tmp_path)
    return jobs


def pack(message):
    return repr(message).encode()


def test_all_short_jobs_are_handed_over_at_once(tmp_path):
    jobs = workload(tmp_path, 16)

    assert jobs.head is None
    assert jobs.hand_over(pack, 5)
    assert jobs.head.job.lease == 0
    assert jobs.head.log_offset == 5
    assert not jobs.has_waiting


def test_no_more_is_handed_over_than_a_socket_takes_without_blocking(tmp_path):
    jobs = workload(tmp_path, 5, size=30_000)
    handed = [len(jobs.hand_over(pack, 0))]
    while jobs.head is not None:
        jobs.remove(jobs.head.job.lease)
        handed.append(len(jobs.hand_over(pack, 0)))

    assert max(handed) < 100_000
    assert sum(handed) > 150_000


def test_one_huge_job_is_handed_over_all_the_same(tmp_path):
    jobs = workload(tmp_path, 2, size=200_000)

    jobs.hand_over(pack, 0)
    assert jobs.find_sent(0) is not None
    assert jobs.find_sent(1) is None


def test_what_was_handed_over_comes_back_in_order_without_what_nobody_wants(tmp_path):
    jobs = workload(tmp_path, 3)
    jobs.hand_over(pack, 0)
    jobs.add(Job(3, TrialId(3, 0), 1, {}, 1.0, None, 0), tmp_path)
    jobs.remove(0)
    jobs.find_sent(1).drop_by = 0.0

    assert [held.job.lease for held in jobs.take_back()] == [1]
    assert jobs.leases == (2, 3)
    assert jobs.head is None


# -- the outbox -------------------------------------------------------------------------------------------------


def done(loss=0.5):
    return Completed(loss)


def test_outcomes_are_repeated_until_they_are_acknowledged():
    outbox = Outbox()
    outbox.add(1, done())
    outbox.add(2, done())

    first = outbox.request((3,), 1, 20.0)
    assert first == Request(1, ((1, done()), (2, done())), (), (3,), 1, 20.0)
    outbox.answered([1])
    assert outbox.leases == (2,)
    assert not outbox.has_news
    assert outbox.request((), 0, 0.0).results == ((2, done()),)


def test_a_request_without_an_answer_is_repeated_as_it_was():
    outbox = Outbox()
    first = outbox.request((1,), 0, 0.0)
    outbox.add(1, done())

    assert outbox.request((), 5, 1.0) is first
    outbox.answered([])
    assert outbox.request((), 5, 1.0) == Request(2, ((1, done()),), (), (), 5, 1.0)


def test_the_first_outcome_of_a_lease_stays():
    outbox = Outbox()
    outbox.add(1, done(0.25))
    outbox.add(1, done(0.75))

    assert outbox.request((), 0, 0.0).results == ((1, done(0.25)),)


def test_large_outcomes_are_spread_over_requests():
    outbox = Outbox()
    for lease in range(4):
        outbox.add(lease, done(), n_bytes=MAX_RESULT_BYTES // 2)
    outbox.add(4, done(), n_bytes=2 * MAX_RESULT_BYTES)
    leases = []
    while outbox.leases:
        results = [lease for lease, _ in outbox.request((), 0, 0.0).results]
        leases.append(results)
        outbox.answered(results)

    assert leases == [[0, 1], [2, 3], [4]]


def test_an_outcome_that_is_never_acknowledged_does_not_block_others():
    outbox = Outbox()
    outbox.add(0, done(), n_bytes=MAX_RESULT_BYTES)
    outbox.request((), 0, 0.0)
    outbox.answered([])
    outbox.add(1, done(), n_bytes=MAX_RESULT_BYTES)

    assert [lease for lease, _ in outbox.request((), 0, 0.0).results] == [1]


def test_curve_points_are_taken_in_portions_and_the_oldest_give_way():
    outbox = Outbox()
    for step in range(5000):
        outbox.report(Report(1, step, 0.0))

    reports = outbox.request((), 0, 0.0).reports
    assert len(reports) == MAX_REPORTS
    assert reports[0].step == 3000
    assert outbox.has_reports
