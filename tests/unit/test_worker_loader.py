"""Specs of all three forms, right and wrong."""

import sys

import pytest

from bohb_service.errors import WorkerSpecError
from bohb_service.worker.base import Worker
from bohb_service.worker.loader import list_workers, load_worker

SOURCE = """
from bohb_service.worker.base import Worker
import helper_of_{name}

class Sphere(Worker):
    def compute(self, config, budget, context):
        return helper_of_{name}.VALUE

class Outer:
    class Inner(Sphere):
        pass

class Abstract(Worker):
    pass

class Duck:
    def compute(self, config, budget, **kwargs):
        return 0

class Other:
    pass

instance = Sphere()
"""


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch):
    """Forget what a test has imported."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("bench_", "helper_of_", "bohb_worker_", "broken_")):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bench_one.py").write_text(SOURCE.format(name="one"))
    (tmp_path / "helper_of_one.py").write_text("VALUE = 0.5")
    return tmp_path


def test_a_file_is_loaded_with_the_modules_beside_it(folder):
    worker = load_worker(f"{folder}/bench_one.py:Sphere")

    assert issubclass(worker, Worker)
    assert worker.__module__ == "bench_one"
    assert worker().compute({}, 1.0, None) == 0.5
    assert load_worker(f"{folder}/bench_one.py:Sphere") is worker


def test_a_relative_path_is_taken_from_the_base(folder):
    assert load_worker("bench_one.py:Outer.Inner", base=folder).__name__ == "Inner"


def test_a_file_named_like_a_loaded_module_does_not_replace_it(tmp_path):
    import json

    (tmp_path / "json.py").write_text("class A:\n    def compute(self, config, budget):\n        return 0\n")

    assert load_worker(f"{tmp_path}/json.py:A").__module__ == "bohb_worker_json"
    assert sys.modules["json"] is json


def test_a_module_is_found_in_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])

    assert load_worker("bench_one:Sphere").__name__ == "Sphere"
    assert sys.path[0] == str(folder)


def test_a_class_with_compute_alone_is_accepted(folder):
    assert load_worker(f"{folder}/bench_one.py:Duck").__name__ == "Duck"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("bench_one.py:Spere", "bench_one has no class 'Spere'; did you mean 'Sphere'?"),
        ("bench_one.py:Nothing", "its workers are Sphere,"),
        ("bench_one.py:Other", "does not define compute"),
        ("bench_one.py:Abstract", "does not define compute"),
        ("bench_one.py:instance", "is a Sphere, no class"),
        ("bench_one.py", "does not say which class"),
        ("bench_one.py:", "does not say which class"),
        (":Sphere", "does not say which class"),
        ("bench_two.py:Sphere", "did you mean 'bench_one.py'?"),
        ("elsewhere/bench_one.py:Sphere", "there is no file"),
        ("no_such_package.objectives:Sphere", "there is no module 'no_such_package' on the path"),
        ("bohb_service.no_such_module:Sphere", "there is no module 'bohb_service.no_such_module'"),
    ],
)
def test_a_wrong_spec_is_told_with_a_remedy(folder, spec, words):
    with pytest.raises(WorkerSpecError) as refused:
        load_worker(spec, base=folder)

    assert words in str(refused.value)
    assert spec in str(refused.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "import no_such_dependency",
            "needs the module 'no_such_dependency', which is not installed; pip install no_such",
        ),
        ("import sklearn.no_such_part", "needs the module 'sklearn.no_such_part'"),
        ("raise ValueError('not today')", "raised ValueError: not today"),
        ("import sys; sys.exit(1)", "raised SystemExit: 1"),
        ("def broken(:", "raised SyntaxError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told(tmp_path, source, words):
    (tmp_path / "broken_one.py").write_text(source)

    with pytest.raises(WorkerSpecError) as refused:
        load_worker(f"{tmp_path}/broken_one.py:A")

    assert words in str(refused.value)
    assert "broken_one" not in sys.modules


def test_a_built_in_worker_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("bohb_service.workers.")]:
        monkeypatch.delitem(sys.modules, name)
    from bohb_service.worker.loader import _install_hint

    assert _install_hint("sklearn.datasets", "bohb_service.workers.sklearn") == "pip install 'bohb-service[sklearn]'"
    assert _install_hint("statsmodels", "bohb_service.workers.x") == "pip install 'bohb-service[reference]'"
    assert _install_hint("sklearn", "my.module") == "pip install scikit-learn"


def distribution(folder, name, entries):
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bohb_service.workers]\n" + "\n".join(entries))


def test_entry_points_are_found_and_listed(folder, monkeypatch):
    distribution(folder, "other-workers", ["bench-sphere = bench_one:Sphere"])
    monkeypatch.syspath_prepend(folder)

    assert load_worker("bench-sphere").__name__ == "Sphere"
    assert "bench-sphere  bench_one:Sphere  (other-workers)" in map(str, list_workers())
    assert "sklearn-mlp" in [entry.name for entry in list_workers()]


def test_a_name_that_is_not_there_brings_suggestions(folder, monkeypatch):
    distribution(folder, "other-workers", ["bench-sphere = bench_one:Sphere"])
    monkeypatch.syspath_prepend(folder)

    with pytest.raises(WorkerSpecError, match="no worker is called 'bench-spere'; did you mean 'bench-sphere'"):
        load_worker("bench-spere")
    with pytest.raises(WorkerSpecError, match="installed are autonet, bench-sphere, "):
        load_worker("qqq")


def test_a_name_offered_twice_is_refused_naming_both(folder, monkeypatch):
    distribution(folder, "other-workers", ["bench-sphere = bench_one:Sphere"])
    distribution(folder, "more-workers", ["bench-sphere = bench_two:Sphere"])
    monkeypatch.syspath_prepend(folder)

    with pytest.raises(WorkerSpecError, match="several distributions: more-workers, other-workers"):
        load_worker("bench-sphere")
