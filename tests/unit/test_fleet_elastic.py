"""A fleet that follows the demand: what it changes, and when it gives up."""

import pytest

from bohb_service.errors import BohbError, StudyError, TransportError
from bohb_service.fleet.choice import fleet_script, size_of
from bohb_service.fleet.dask import DaskLauncher
from bohb_service.fleet.elastic import Change, ElasticFleet, Size, Unit, change_for
from bohb_service.fleet.fleet import Demand, Employer, Place, worker_environment
from bohb_service.fleet.slurm import slurm_script
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.rpc.endpoint import Endpoint
from bohb_service.study import Dask, Fleet, Slurm, parse_study
from bohb_service.testing.clock import ManualClock


def units(running, waiting=0):
    return [Unit(f"u{n}", n < running) for n in range(running + waiting)]


def demand(useful, workers=(), idle=None, others=0):
    return Demand(useful, {name: {} for name in workers}, idle or {}, others)


def idle_for(*seconds, useful):
    idle = {f"u{n}.0": float(each) for n, each in enumerate(seconds)}
    return demand(useful, idle, idle)


@pytest.mark.parametrize(
    ("wanted", "there", "size", "change"),
    [
        (demand(5), units(0), Size(8), Change(start=5)),
        (demand(50), units(2, 1), Size(8), Change(start=5)),
        (demand(3), units(1, 2), Size(8), Change()),
        (demand(0), units(0), Size(8, least=2), Change(start=2)),
        (demand(1), units(1, 3), Size(8), Change(cancel=("u3", "u2", "u1"))),
        (demand(2), units(2, 1), Size(8, least=3), Change()),
        # Workers that somebody started by hand serve the demand too; what is none of ours is never sent away.
        (demand(3, ["laptop-1-ab"]), units(0), Size(8), Change(start=2)),
        (demand(0, {"x"}, {"x": 900.0}), units(0), Size(8), Change()),
        # All slots of a unit are of that unit.
        (demand(2, ["u0.0.0", "u0.0.1"]), units(2), Size(8), Change()),
        # Those that have had nothing to do for longest leave first, and only after a while.
        (idle_for(70, 80, useful=1), units(2), Size(8), Change(dismiss=("u1.0",))),
        (idle_for(59, 60, useful=0), units(2), Size(8), Change(dismiss=("u1.0",))),
        # Places of several workers are asked for as a whole, and leave as a whole.
        (demand(5), units(0), Size(8, slots=4), Change(start=2)),
        (demand(5, ["u0.0", "u0.1", "x"]), units(1), Size(8, slots=2), Change(start=1)),
        (demand(0, ["u0.0", "u0.1"], {"u0.0": 99.0}), units(1), Size(8, slots=2), Change()),
        (demand(0, ["u0.0", "u0.1"], {"u0.0": 99.0, "u0.1": 60.0}), units(1), Size(8, slots=2),
         Change(dismiss=("u0.0", "u0.1"))),
        # A unit that waits goes before a worker that is there.
        (demand(1, {"u0.0"}, {"u0.0": 99.0}), units(1, 1), Size(8), Change(cancel=("u1",))),
    ],
)  # fmt: skip
def test_the_change_that_a_demand_asks_for(wanted, there, size, change):
    assert change_for(wanted, there, size) == change


def test_a_worker_of_a_fleet_is_one_worker_of_this_run_whatever_the_environment_says(monkeypatch):
    for name in ("BOHB_RUN_DIR", "BOHB_SLOTS", "BOHB_LOG_JSON", "BOHB_LABEL"):
        monkeypatch.setenv(name, "8")
    assert {name for name in worker_environment() if name.startswith("BOHB_")} == {"BOHB_LABEL"}


class Cluster:
    """A launcher in memory: what was asked of it, and what it says."""

    def __init__(self):
        self.there, self.started, self.cancelled, self.fault = [], [], [], None

    def check(self):
        self._fail()

    def units(self):
        self._fail()
        return list(self.there)

    def start(self, n):
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
        employer = Employer(self._tell, lambda names: self.dismissed.extend(sorted(names)))
        self.fleet = ElasticFleet(self.cluster, Size(4, poll_s=3600, **size), employer, self.clock)

    def _tell(self, at_most, kinds):
        self.asked = (at_most, list(kinds))
        if isinstance(self.demand, Exception):
            raise self.demand
        return self.demand

    def look(self, seconds=0.0):
        self.clock.advance(seconds)
        self.fleet.look()


@pytest.fixture
def scene():
    scene = Scene()
    scene.fleet.start()
    yield scene
    scene.fleet.stop(0.0)


def test_the_first_units_are_started_at_once(scene):
    assert scene.cluster.started == [2]
    scene.look()
    assert scene.cluster.started == [2]


def test_a_moment_of_small_demand_changes_nothing(scene):
    scene.cluster.there = units(0, 2)
    scene.demand = demand(0)
    scene.look(59.0)
    assert scene.cluster.cancelled == []
    scene.look(2.0)
    assert scene.cluster.cancelled == ["u1", "u0"]


def test_once_a_worker_has_told_what_it_has_only_trials_for_its_like_are_a_demand(scene, caplog):
    assert scene.asked == (4, [])
    scene.cluster.there = units(2)
    scene.demand = Demand(2, {"u0.0": {"gpu": 0}, "u1.0": {"gpu": 0}, "x": {"gpu": 1}}, {})
    scene.look()
    scene.look()
    assert scene.asked == (4, [{"gpu": 0}])
    scene.demand = demand(0, others=3)
    scene.look()
    scene.look()
    assert caplog.text.count("none that a worker of this fleet can take") == 1


def test_idle_workers_are_dismissed(scene):
    scene.cluster.there = units(2)
    scene.demand = demand(0, {"u0.0", "u1.0"}, {"u0.0": 61.0, "u1.0": 1.0})
    scene.look(61.0)
    assert scene.dismissed == ["u0.0"]


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
        scene.demand = demand(2, {f"{unit.name}.0" for unit in scene.cluster.there})
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


def test_a_cluster_that_does_not_answer_is_given_time(scene):
    scene.cluster.fault = BohbError("squeue says: nobody there")
    for _ in range(4):
        scene.look()
        assert scene.fleet.error is None
    scene.cluster.fault = None
    scene.look()
    scene.cluster.fault = BohbError("squeue says: nobody there")
    for _ in range(5):
        scene.look()
    assert str(scene.fleet.error) == "squeue says: nobody there"
    scene.cluster.fault = None


def test_a_busy_master_is_no_fault_of_the_cluster(scene):
    scene.demand = TransportError("busy")
    for _ in range(10):
        scene.look()
    assert scene.fleet.error is None


def test_a_cluster_that_cannot_be_used_is_told_at_the_start():
    scene = Scene()
    scene.cluster.fault = StudyError("no sbatch")
    with pytest.raises(StudyError, match="no sbatch"):
        scene.fleet.start()


def test_what_is_left_at_the_end_is_cancelled(scene):
    scene.fleet.stop(0.0)
    assert len(scene.cluster.cancelled) == 2


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
        f"exec '/opt/my python' -m bohb_service.cli.worker --log-text --run-dir '{tmp_path}/100% run' --name "
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
        "exec py -m bohb_service.cli.worker --log-text --nameserver head:1 --study s --credentials /keys/worker "
        '--slots 2 --name "slurm-$'
    ) in script
    bare = slurm_script(Place(RunDirectory(tmp_path), "s", "h:1", insecure=True), Slurm(folder=tmp_path, python="py"))
    assert "--study s --insecure --name" in bare
