"""Good study files: what they mean, and what stays the same when they travel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bohb_service.cli.master import main
from bohb_service.errors import StudyError
from bohb_service.optimizer.model_options import ModelOptions
from bohb_service.study import Fidelity, Limits, Method, Stop, Study, load_study, parse_study, study_schema

MINIMAL = "name: small\nworker: sklearn-mlp\nfidelity: {min: 1, max: 27}\n"

FULL_YAML = """\
name: letter-mlp
worker: train.py:Net
worker_options: {dataset: letter, flags: [on, off, yes], rate: 1e-3, deep: {n: 3, none: null}}
space: {x: {type: float, lower: 0.5}}
fidelity: {name: epochs, min: 1, max: 27.0, integer: true}
method: {name: bohb, eta: 4, sizes: hpbandster, num_samples: 32, random_fraction: 0.25}
stop: {brackets: 4, loss: -1.5}
seed: 7
limits: {seconds: 600, memory_mb: 4e3, attempts: 2}
initial: [{x: 0.75}]
warm_start: [runs/a]
refit: false
"""

FULL_TOML = """\
name = "letter-mlp"
worker = "train.py:Net"
seed = 7
initial = [{x = 0.75}]
warm_start = ["runs/a"]
refit = false
worker_options = {dataset = "letter", flags = ["on", "off", "yes"], rate = 1e-3, deep = {n = 3}}
space = {x = {type = "float", lower = 0.5}}
[fidelity]
name = "epochs"
min = 1
max = 27
integer = true
[method]
name = "bohb"
eta = 4.0
sizes = "hpbandster"
num_samples = 32
random_fraction = 0.25
[stop]
brackets = 4
loss = -1.5
[limits]
seconds = 600
memory_mb = 4_000
attempts = 2
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "train.py").write_text("class Net: ...\n")
    (tmp_path / "runs" / "a").mkdir(parents=True)

    def write_file(text, name="study.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def minimal(**keys):
    data = {"name": "small", "worker": "sklearn-mlp", "fidelity": {"min": 1, "max": 27}, **keys}
    return parse_study(data, base=Path("/"), source="test")


def test_only_three_keys_are_needed(write):
    study = load_study(write(MINIMAL))
    assert study == Study(name="small", worker="sklearn-mlp", fidelity=Fidelity(min=1.0, max=27.0))
    assert study.method == Method(name="bohb", eta=3.0, sizes="paper")
    assert study.limits == Limits(seconds=None, memory_mb=None, attempts=3)
    assert study.stop.is_default
    assert (study.space, study.seed, study.initial, study.warm_start, study.refit) == (None, 0, (), (), True)
    assert (study.fidelity.name, study.fidelity.integer) == ("budget", False)


def test_every_key_is_read(write, tmp_path):
    study = load_study(write(FULL_YAML))
    assert study.worker == f"{tmp_path.resolve()}/train.py:Net"
    options = {"dataset": "letter", "flags": ["on", "off", "yes"], "rate": 0.001, "deep": {"n": 3, "none": None}}
    assert study.worker_options == options
    assert study.space == {"x": {"type": "float", "lower": 0.5}}
    assert study.fidelity == Fidelity(name="epochs", min=1, max=27, integer=True)
    assert study.method == Method(name="bohb", eta=4, sizes="hpbandster", num_samples=32, random_fraction=0.25)
    assert study.stop == Stop(brackets=4, loss=-1.5)
    assert not study.stop.is_default
    assert study.limits == Limits(seconds=600, memory_mb=4000, attempts=2)
    assert isinstance(study.limits.memory_mb, int)
    assert study.initial == ({"x": 0.75},)
    assert study.warm_start == ((tmp_path / "runs" / "a").resolve(),)
    assert (study.seed, study.refit) == (7, False)


def test_paths_of_the_fleet_are_relative_to_the_study_file(write, tmp_path):
    fleet = "fleet: {slurm: {folder: ../logs}, dask: {scheduler_file: scheduler.json}}\n"
    study = load_study(write(MINIMAL + fleet))
    assert study.fleet.slurm.folder == (tmp_path / ".." / "logs").resolve()
    assert study.fleet.dask.scheduler_file == (tmp_path / "scheduler.json").resolve()


def test_toml_is_a_twin_of_yaml(write):
    in_yaml = load_study(write(FULL_YAML.replace(", none: null", "")))
    in_toml = load_study(write(FULL_TOML, "study.toml"))
    assert in_toml == in_yaml
    assert in_toml.identity() == in_yaml.identity()
    assert in_toml.to_json() == in_yaml.to_json()


@pytest.mark.parametrize(
    "text", [MINIMAL, FULL_YAML, MINIMAL + "method: hyperband\n"], ids=["minimal", "full", "plain"]
)
def test_json_round_trip_keeps_everything(write, text):
    study = load_study(write(text))
    again = Study.from_json(study.to_json())
    assert again == study
    assert again.to_json() == study.to_json()
    assert again.identity() == study.identity()


def test_stored_study_needs_no_files(write, tmp_path):
    study = load_study(write(FULL_YAML))
    stored = study.to_json()
    (tmp_path / "train.py").unlink()
    (tmp_path / "runs" / "a").rmdir()
    assert Study.from_json(stored) == study


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "stored study: not valid JSON"),
        ("[]", "stored study: must be a mapping"),
        ('{"name": "a"}', "stored study: worker: is missing"),
    ],
)
def test_damaged_stored_study_is_refused(text, phrase):
    with pytest.raises(StudyError, match=phrase):
        Study.from_json(text)


def test_identity_is_golden():
    study = minimal(
        worker_options={"b": 1, "a": [1.5, "ä", None, True]},
        space={"x": {"type": "float"}},
        method={"name": "bohb", "eta": 3},
        seed=3,
        initial=[{"x": 0.5}],
    )
    assert study.identity() == "a8232ff804340a302988e421005a751557e76f9ee860bbf2ca46061ad68e02af"
    assert minimal(method="hyperband").identity() == "fab597c0abe0029a9eed54ed96bf0ed6fd9666a60831d2bbf9f219d8a14d4874"


def test_order_of_keys_and_spelling_of_defaults_do_not_matter():
    assert minimal(worker_options={"a": 1, "b": 2}).identity() == minimal(worker_options={"b": 2, "a": 1}).identity()
    assert minimal().identity() == minimal(method={"eta": 3.0, "num_samples": 64}, seed=0, space=None).identity()
    assert minimal(method="random", stop={"evaluations": 1}).identity() != minimal().identity()


@pytest.mark.parametrize(
    "change",
    [{"stop": {"brackets": 9}}, {"limits": {"attempts": 9}}],
    ids=lambda change: next(iter(change)),
)
def test_what_may_change_before_a_resumption(change):
    assert minimal(**change) != minimal()
    assert minimal(**change).identity() == minimal().identity()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"worker": "lib.mod:Net"},
        {"worker_options": {"a": 1}},
        {"space": {"x": {}}},
        {"fidelity": {"min": 1, "max": 81}},
        {"fidelity": {"min": 1, "max": 27, "name": "epochs"}},
        {"fidelity": {"min": 1, "max": 27, "integer": True}},
        {"method": {"eta": 4}},
        {"method": {"random_fraction": 0.5}},
        {"method": "hyperband"},
        {"seed": 1},
        {"initial": [{"x": 1}]},
        {"warm_start": ["/"]},
    ],
    ids=str,
)
def test_what_makes_another_study(change):
    assert minimal(**change).identity() != minimal().identity()


@pytest.mark.parametrize("name", ["bohb", "hyperband", "successive-halving", "random"])
def test_a_method_may_be_a_name(name):
    short = minimal(method=name, stop={"evaluations": 5})
    assert short == minimal(method={"name": name}, stop={"evaluations": 5})
    assert short.method.name == name


def test_method_defaults_are_those_of_the_sampler():
    method, options = Method(), ModelOptions()
    for key in ModelOptions.__dataclass_fields__:
        assert getattr(method, key) == getattr(options, key), key
        assert key in Method.model_fields


def test_stored_method_has_its_own_options_only():
    assert json.loads(minimal(method="hyperband").to_json())["method"] == {
        "name": "hyperband",
        "eta": 3.0,
        "sizes": "paper",
    }
    assert "density" in json.loads(minimal().to_json())["method"]


@pytest.mark.parametrize("key", ["stop", "limits", "method", "worker_options", "initial", "warm_start", "space"])
def test_a_section_with_all_lines_commented_out_is_absent(write, key):
    assert load_study(write(f"{MINIMAL}{key}:\n  # nothing: 1\n")) == load_study(write(MINIMAL))


def test_one_rung_is_enough():
    assert minimal(fidelity={"min": 5, "max": 5}).fidelity.min == 5
    assert minimal(method={"eta": 100}).method.eta == 100


def test_random_search_may_span_any_range():
    wide = {"min": 1e-9, "max": 1}
    assert minimal(fidelity=wide, method="random", stop={"seconds": 1}).fidelity.min == 1e-9


@pytest.mark.parametrize("worker", ["sklearn-mlp", "w_1", "mod:Net", "a.b.c:Net_2", "_private.mod:_Net"])
def test_workers_by_name_are_kept(worker):
    assert minimal(worker=worker).worker == worker


def test_worker_file_in_a_folder_with_colon_and_space(tmp_path):
    folder = tmp_path / "a: b"
    folder.mkdir()
    (folder / "my train.py").touch()
    data = {"name": "n", "worker": "a: b/my train.py:Net", "fidelity": {"min": 1, "max": 2}}
    assert parse_study(data, base=tmp_path, source="s").worker == f"{folder.resolve()}/my train.py:Net"


def test_paths_are_relative_to_the_study_file_not_to_the_current_directory(write, tmp_path, monkeypatch):
    path = write(FULL_YAML)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    expected = load_study(path)
    monkeypatch.chdir(elsewhere)
    assert load_study(path) == expected
    assert load_study(Path("../study.yaml")) == expected


@pytest.mark.parametrize("name", ["space.yaml", "space.yml", "sub/space.json"])
def test_a_space_file_is_replaced_by_its_content(write, tmp_path, name):
    space = {"name": None, "hyperparameters": [{"name": "x", "choices": [True, "on", 1e-05]}]}
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(json.dumps(space) if name.endswith("json") else yaml.safe_dump(space))
    by_path = load_study(write(f"{MINIMAL}space: {name}\n"))
    assert by_path.space == space
    assert by_path.identity() == minimal(space=space).identity()


def test_utf8_with_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "study.yml"
    path.write_bytes(b"\xef\xbb\xbf" + f"{MINIMAL}worker_options: {{a: 'é'}}\n".replace("\n", "\r\n").encode())
    assert load_study(path).worker_options == {"a": "é"}


def test_a_study_cannot_be_changed_and_does_not_share_the_callers_data():
    options = {"list": [1]}
    study = minimal(worker_options=options)
    options["list"].append(2)
    assert study.worker_options == {"list": [1]}
    with pytest.raises(ValueError, match="frozen"):
        study.seed = 3


def test_values_that_json_lacks_are_refused_from_python_too():
    with pytest.raises(ValueError, match="finite"):
        Fidelity(min=1, max=float("inf"))


def test_names_may_have_64_characters():
    assert minimal(name="n" * 64, fidelity={"name": "f" * 64, "min": 1, "max": 2})
    with pytest.raises(StudyError, match=r"name: 'n+' cannot be a name.*\ntest: fidelity.name: must be 1 to 64"):
        minimal(name="n" * 65, fidelity={"name": "f" * 65, "min": 1, "max": 2})


def test_schema_describes_what_a_file_may_hold():
    schema = json.loads(json.dumps(study_schema()))
    assert schema["required"] == ["name", "worker", "fidelity"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(Study.model_fields)
    assert all(described["description"] for described in schema["properties"].values())
    for section in ("Fidelity", "Method", "Stop", "Limits"):
        assert all(described["description"] for described in schema["$defs"][section]["properties"].values())
    method = schema["properties"]["method"]["anyOf"]
    assert method == [
        {"type": "string", "enum": ["bohb", "hyperband", "successive-halving", "random"]},
        {"$ref": "#/$defs/Method"},
    ]
    assert [form["type"] for form in schema["properties"]["space"]["anyOf"]] == ["string", "object", "null"]
    assert schema["$defs"]["Stop"]["properties"]["brackets"]["anyOf"][0] == {"minimum": 1, "type": "integer"}


def test_the_schema_can_be_had_on_the_command_line():
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.output) == study_schema()


def test_reading_a_study_loads_no_numerical_library(write):
    code = (
        "import sys\nfrom pathlib import Path\nfrom bohb_service.study import load_study\n"
        f"load_study(Path({str(write(FULL_YAML))!r}))\n"
        "print([name for name in ('numpy', 'ConfigSpace', 'scipy', 'Pyro5') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
