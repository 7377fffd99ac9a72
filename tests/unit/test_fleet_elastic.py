"""A fleet that follows the demand: what it changes, and when it gives up."""

import threading
import time

import pytest

from bohb_service.clock import SystemClock
from bohb_service.errors import BohbError, StudyError, TransportError
from bohb_service.fleet.choice import fleet_script, size_of
from bohb_service.fleet.dask import DaskLauncher
from bohb_service.fleet.elastic import ElasticFleet
from bohb_service.fleet.fleet import Demand, Employer, Place, worker_environment
from bohb_service.fleet.slurm import slurm_script
from bohb_service.fleet.staffing import Size, Unit
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.scheduler.needs import NeedRule, Needs
from bohb_service.study import Dask, Fleet, Slurm, parse_study
from bohb_service.testing.clock import ManualClock


def units(running, waiting=0):
    return [Unit(f"u{n}", n < running) for n in range(running + waiting)]


def demand(waiting, workers=(), idle=None, **more):
    work = waiting if isinstance(waiting, dict) else {1.0: waiting}
    labels = workers if isinstance(workers, dict) else {name: {} for name in workers}
    return Demand(work, more.pop("needs", Needs()), labels, idle or {}, **more)


def test_a_worker_of_a_fleet_is_one_worker_of_this_run_whatever_the_environment_says(monkeypatch):
    for name in ("BOHB_RUN_DIR", "BOHB_SLOTS", "BOHB_LOG_TEXT", "BOHB_LABEL"):
        monkeypatch.setenv(name, "8")
    assert {name for name in worker_environment() if name.startswith("BOHB_")} == {"BOHB_LABEL"}


class Cluster:
    """A launcher in memory: what was asked of it, and what it says."""

    def __init__(self):
        self.there, self.started, self.cancelled, self.fault, self.refusal = [], [], [], None, None
        self.gate, self.looks = None, 0

    def check(self):
        self._fail()

    def units(self):
        self.looks += 1
        if self.gate is not None:
            assert self.gate.wait(60.0)
        self._fail()
        return list(self.there)

    def start(self, n):
        if self.refusal is not None:
            raise self.refusal
        self.started.append(n)
        fresh = [Unit(f"u{sum(self.started)}-{number}", is_running=True) for number in range(n)]
        self.there += fresh
        return [unit.name for unit in fresh]

    def cancel(self, names):
        self.cancelled += names
        self.there = [unit for unit in self.there if unit.name not in names]

    def last_words(self, name):
        return f"words of {name}"

    def _fail(self):
        if self.fault is not None:
            raise self.fault


class Scene:
    def __init__(self, **size):
        self.cluster, self.clock = Cluster(), ManualClock()
        self.demand, self.dismissed = demand(2), []
        employer = Employer(self._tell, lambda groups: self.dismissed.extend(map(sorted, groups)))
        self.fleet = ElasticFleet(self.cluster, Size(**{"most": 4, "poll_s": 3600.0, **size}), employer, self.clock)

    def _tell(self, at_most):
        self.asked = at_most
        if isinstance(self.demand, Exception):
            raise self.demand
        return self.demand

    def look(self, seconds=0.0):
        self.clock.advance(seconds)
        self.fleet.look()


@pytest.fixture
def make_scene():
    made = []

    def make(**size):
        made.append(Scene(**size))
        made[-1].fleet.start()
        return made[-1]

    yield make
    for scene in made:
        scene.fleet.stop(0.0)


@pytest.fixture
def scene(make_scene):
    return make_scene()


def test_the_first_units_are_started_at_once(scene):
    assert scene.cluster.started == [2]
    scene.look()
    assert scene.cluster.started == [2]


def test_as_many_trials_are_counted_as_the_fleet_may_have_workers(make_scene):
    assert make_scene(most=3, slots=4).asked == 12


def test_a_moment_of_small_demand_changes_nothing(scene):
    scene.cluster.there = units(0, 2)
    scene.demand = demand(0)
    scene.look(59.0)
    assert scene.cluster.cancelled == []
    scene.look(2.0)
    assert scene.cluster.cancelled == ["u1", "u0"]


GPU_FROM_NINE = Needs((NeedRule(9.0, {"gpu": 1}),))


def test_once_a_worker_has_told_what_it_has_only_trials_for_its_like_are_a_demand(scene, caplog):
    scene.cluster.there = units(2)
    workers = {"u0.0": {"gpu": 0}, "u1.0": {"gpu": 0}}
    scene.demand = demand({9.0: 3}, workers, needs=GPU_FROM_NINE)
    scene.look()
    scene.look()
    assert scene.cluster.started == [2]
    assert caplog.text.count("no worker of this fleet so far can take") == 1
    scene.demand = demand({1.0: 1, 9.0: 3}, workers, needs=GPU_FROM_NINE)
    scene.look()
    assert scene.cluster.started == [2, 1]


def test_from_time_to_time_another_place_is_tried_for_trials_that_no_known_worker_can_take(scene):
    def look_until_started(seconds):
        waited, n = 0, len(scene.cluster.started)
        while len(scene.cluster.started) == n and waited < seconds:
            waited += 10
            scene.look(10.0)
        return waited

    def join(gpu):
        names = [f"{unit.name}.0" for unit in scene.cluster.there]
        scene.demand = demand({9.0: 3}, {name: {"gpu": gpu} for name in names}, needs=GPU_FROM_NINE)
        scene.look()

    join(0)
    assert look_until_started(1000) == 300
    assert scene.cluster.started == [2, 1]
    # It may wait in the queue for long, and is not followed by others.
    scene.cluster.there = [Unit(unit.name, n < 2) for n, unit in enumerate(scene.cluster.there)]
    assert look_until_started(1000) == 1000
    assert scene.cluster.cancelled == []
    # It has come to a place like those before, and the next one to another: there is a reason to start more.
    join(0)
    assert scene.cluster.started == [2, 1, 1]
    scene.cluster.there = scene.cluster.there[-1:]
    join(1)
    assert scene.cluster.started == [2, 1, 1, 3]


def test_kinds_of_workers_that_have_not_been_there_for_long_are_forgotten(scene):
    for gpu in (1, 0):
        scene.cluster.there = units(2)
        scene.demand = demand(0, {"u0.0": {"gpu": gpu}, "u1.0": {"gpu": 0}}, needs=GPU_FROM_NINE)
        scene.look(10.0)
    scene.look(500.0)
    scene.demand = demand({9.0: 2}, scene.demand.workers, needs=GPU_FROM_NINE)
    assert [labels["gpu"] for labels in scene.fleet._kinds.labels] == [1, 0]
    scene.look(100.0)
    assert [labels["gpu"] for labels in scene.fleet._kinds.labels] == [0]


def test_workers_that_can_take_the_same_trials_are_of_one_kind(scene):
    scene.cluster.there = units(2)
    for memory in range(40):
        scene.demand = demand(0, {"u0.0": {"gpu": 0, "memory_mb": memory}}, needs=GPU_FROM_NINE)
        scene.look()
    assert len(scene.fleet._kinds.labels) == 1
    scene.demand = demand(0, {"u0.0": {"gpu": 1, "memory_mb": 40}}, needs=GPU_FROM_NINE)
    scene.look()
    assert len(scene.fleet._kinds.labels) == 2


def test_a_unit_that_has_lost_workers_for_good_is_made_up_for(make_scene):
    scene = make_scene(slots=4)
    (name,) = [unit.name for unit in scene.cluster.there]
    slots = [f"{name}.{slot}" for slot in range(4)]
    scene.demand = demand(3, slots[:1])
    scene.look()
    assert scene.cluster.started == [1]
    scene.demand = demand(0, slots)
    scene.look()
    scene.demand = demand(3, slots[:1])
    scene.look()
    assert scene.cluster.started == [1, 1]
    # All of them have gone: it is about to end, or was queued again.
    scene.demand = demand(4)
    scene.cluster.there = [Unit(name, is_running=False)]
    scene.look()
    assert scene.cluster.started == [1, 1]


def test_idle_workers_are_dismissed(scene):
    scene.cluster.there = units(2)
    scene.demand = demand(0, {"u0.0": {}, "u1.0": {}}, {"u0.0": 61.0, "u1.0": 1.0})
    scene.look(61.0)
    assert scene.dismissed == [["u0.0"]]


def test_units_that_end_without_having_joined_are_started_ever_more_slowly_and_then_given_up(scene):
    for pause in (0.0, 5.0, 15.0, 30.0, 60.0):
        scene.cluster.there = []
        scene.look()
        assert scene.fleet.error is None
        n = len(scene.cluster.started)
        if pause:
            scene.look(pause - 1)
            assert len(scene.cluster.started) == n
            scene.look(1)
            assert len(scene.cluster.started) == n + 1
    scene.cluster.there = []
    scene.look()
    told = str(scene.fleet.error)
    assert told.startswith("workers end before they have joined the study, e.g. u")
    assert ": words of u" in told


def test_one_that_joins_wipes_out_earlier_failures(scene):
    for _ in range(6):
        for _ in range(5):
            scene.cluster.there = []
            scene.look(61.0)
        scene.look(61.0)
        names = [f"{unit.name}.0" for unit in scene.cluster.there]
        scene.demand = demand(2, names)
        scene.look()
        scene.demand = demand(2)
        assert scene.fleet.error is None


def test_units_that_had_joined_are_replaced_at_once(scene):
    for _ in range(10):
        name = scene.cluster.there[0].name
        scene.demand = demand(0, [f"{unit.name}.0" for unit in scene.cluster.there])
        scene.look()
        scene.demand = demand(2)
        scene.cluster.there = []
        scene.look()
        assert scene.cluster.there
        assert scene.cluster.there[0].name != name
    assert scene.fleet.error is None


def test_one_that_runs_but_does_not_join_is_told_once_and_waiting_in_the_queue_does_not_count(scene, caplog):
    names = [unit.name for unit in scene.cluster.there]
    scene.cluster.there = [Unit(name, is_running=False) for name in names]
    scene.look(500.0)
    scene.cluster.there = [Unit(name, is_running=True) for name in names]
    scene.look(500.0)
    scene.look(59.0)
    assert caplog.messages == []
    scene.look(1.0)
    scene.look(100.0)
    assert caplog.messages == [f"{name} runs, but its worker has not joined: words of {name}" for name in names]


SILENCE = BohbError("squeue says: nobody there")


def test_a_cluster_that_does_not_answer_is_told_once_and_then_goes_on(scene, caplog):
    scene.cluster.there = []
    scene.demand = demand(0)
    scene.look(61.0)
    scene.cluster.fault = SILENCE
    for _ in range(30):
        scene.look(10.0)
        assert scene.fleet.error is None
    scene.look(10.0)
    assert scene.fleet.error is SILENCE
    assert caplog.text.count("nobody there") == 1
    scene.cluster.fault = None
    scene.look(10.0)
    assert scene.fleet.error is None
    scene.demand = demand(3)
    scene.look(10.0)
    assert scene.cluster.started[-1] == 3


def test_what_is_gone_after_a_silence_is_no_failure(scene, caplog):
    scene.cluster.fault = BohbError("it does not answer")
    scene.look(10.0)
    scene.cluster.fault, scene.cluster.there = None, []
    scene.look(10.0)
    assert "workers end before" not in caplog.text
    assert scene.cluster.started == [2, 2]


def test_a_cluster_without_room_is_told_once(scene, caplog):
    scene.cluster.there = [Unit(unit.name, is_running=False) for unit in scene.cluster.there]
    for _ in range(4):
        scene.look(10.0)
    for _ in range(4):
        scene.look(10.0)
    assert caplog.text.count("2 workers wait for a place in the cluster, and none runs") == 1


def test_nothing_is_started_once_the_end_has_begun(scene):
    units = scene.cluster.units

    def end_meanwhile():
        scene.fleet._ending.set()
        return units()

    scene.cluster.units, scene.demand = end_meanwhile, demand(4)
    scene.look()
    assert scene.cluster.started == [2]


def test_silence_is_no_reason_to_give_up_what_is_known_to_wait_or_run(scene):
    scene.cluster.there = units(0, 2)
    scene.look()
    scene.cluster.fault = SILENCE
    for _ in range(100):
        scene.look(10.0)
    assert scene.fleet.error is None
    scene.cluster.fault = None
    scene.demand = demand(4)
    scene.look(10.0)
    assert scene.cluster.started[-1] == 2


def test_a_busy_master_is_no_fault_of_the_cluster(scene):
    scene.demand = TransportError("busy")
    for _ in range(10):
        scene.look(100.0)
    assert scene.fleet.error is None


@pytest.mark.parametrize("fault", [StudyError("no sbatch"), BohbError("QOS limit")])
def test_a_cluster_that_cannot_be_used_is_told_at_the_start_and_nothing_else_is(fault, caplog):
    scene = Scene()
    scene.cluster.fault = fault if isinstance(fault, StudyError) else None
    scene.cluster.refusal = None if isinstance(fault, StudyError) else fault
    with pytest.raises(type(fault), match=str(fault)):
        scene.fleet.start()
    scene.cluster.fault = BohbError("squeue is not there either")
    scene.fleet.stop(5.0)
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_what_is_left_at_the_end_is_cancelled(scene):
    scene.fleet.stop(0.0)
    assert len(scene.cluster.cancelled) == 2


def test_at_the_end_the_cluster_is_asked_once_and_the_master_tells_who_is_still_there():
    scene = Scene()
    scene.fleet = ElasticFleet(
        scene.cluster, Size(2, poll_s=3600), Employer(scene._tell, lambda _: None), SystemClock()
    )
    scene.fleet.start()
    names = [f"{unit.name}.0" for unit in scene.cluster.there]
    answers = [demand(0, names), demand(0, names), demand(0, names[1:]), demand(0, ["by-hand"])]
    scene.fleet._employer = Employer(lambda _: answers.pop(0) if len(answers) > 1 else answers[0], lambda _: None)
    scene.cluster.looks = 0
    scene.fleet.stop(60.0)
    assert scene.cluster.looks == 1
    assert len(scene.cluster.cancelled) == 2
    assert len(answers) == 1


def test_a_cluster_that_hangs_does_not_hold_up_the_end(scene, caplog):
    gate = threading.Event()
    scene.cluster.gate = gate
    began = time.monotonic()
    scene.fleet.stop(0.0)
    assert time.monotonic() - began < 30.0
    assert "workers may be left in the cluster" in caplog.text
    gate.set()


def test_the_size_comes_from_the_command_line_or_the_study_file():
    assert size_of(Fleet(workers=5), 0) == Size(5)
    assert size_of(Fleet(workers=5, min_workers=2, idle_seconds=3, poll_seconds=1), 7) == Size(7, 2, 1, 3, 1)
    with pytest.raises(StudyError, match="give --workers N, or the study file"):
        size_of(Fleet(), 0)
    with pytest.raises(StudyError, match="min_workers: 8 is more than the 5"):
        size_of(Fleet(min_workers=8), 5)


def test_the_script_of_slurm(tmp_path):
    slurm = {
        "options": {"partition": "gpu", "time": "4:00", "exclusive": True, "comment": "two words", "signal": "B:U@9"},
        "setup": ["module load cuda"],
        "python": "/opt/my python",
    }  # fmt: skip
    data = {"name": "s", "worker": "sklearn-mlp", "fidelity": {"min": 1, "max": 9}, "fleet": {"slurm": slurm}}
    script = fleet_script("slurm", parse_study(data, base=tmp_path, source="test"), tmp_path / "100% run", Endpoint())
    head, setup, _, command = script.rstrip().split("\n")[-4:]
    assert head == '#SBATCH --comment="two words"'
    assert setup == "module load cuda"
    assert command.startswith(
        f"exec '/opt/my python' -m bohb_service.cli.worker --log-json --run-dir '{tmp_path}/100% run' --name "
    )
    lines = script.split("\n")
    assert lines[0] == "#!/bin/bash"
    for line in ("--partition=gpu", "--time=4:00", "--exclusive", "--requeue", "--signal=B:U@9"):
        assert f"#SBATCH {line}" in lines
    assert f'#SBATCH --output="{tmp_path}/100%% run/logs/slurm-%A_%a.log"' in lines
    assert sum(line.startswith("#SBATCH --signal") for line in lines) == 1


def test_places_of_several_workers_have_slots(tmp_path):
    data = {"name": "s", "worker": "sklearn-mlp", "fidelity": {"min": 1, "max": 9}, "fleet": {"slots": 4, "workers": 2}}
    study = parse_study(data, base=tmp_path, source="test")
    assert " --slots 4 --name " in fleet_script("slurm", study, tmp_path, Endpoint())
    assert size_of(study.fleet, 0).slots == 4
    place = Place(RunDirectory(tmp_path), "s", "head:1")
    assert "--slots" in DaskLauncher(place, Dask(scheduler="tcp://head:8786"), 4)._arguments


def test_slurms_workers_need_not_see_the_run_directory(tmp_path):
    slurm = Slurm(folder=tmp_path / "shared", credentials="/keys/worker", python="py")
    place = Place(RunDirectory(tmp_path / "run"), "s", "head:1", credentials=tmp_path)
    script = slurm_script(place, slurm, 2)
    assert f"#SBATCH --output={tmp_path}/shared/slurm-%A_%a.log" in script
    assert str(tmp_path / "run") not in script
    assert (
        "exec py -m bohb_service.cli.worker --log-json --nameserver head:1 --study s --credentials /keys/worker "
        '--slots 2 --name "slurm-$'
    ) in script
    bare = slurm_script(Place(RunDirectory(tmp_path), "s", "h:1", insecure=True), Slurm(folder=tmp_path, python="py"))
    assert "--study s --insecure --name" in bare
