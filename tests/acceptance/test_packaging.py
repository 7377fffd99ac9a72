"""The wheel is complete, and works in an environment that knows nothing of the source tree."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def pip(*args, **env):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, args)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    # Built from a copy: setuptools leaves a build folder, and takes up what an earlier build left there.
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for tree in ("bohb_service", "workers"):
        shutil.copytree(ROOT / tree, source / tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "-w", folder, source, PIP_BUILD_CONSTRAINT=str(ROOT / "constraints.txt"))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def commands(wheel, tmp_path):
    """The folder of commands of a clean environment with the wheel."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    python = environment / "bin" / "python"
    pip("--python", python, "install", "-c", ROOT / "constraints.txt", f"{wheel}[sklearn]")
    return environment / "bin"


def test_wheel_holds_every_source_and_data_file(wheel):
    trees = {"bohb_service": ROOT / "bohb_service", "bohb_service/workers": ROOT / "workers"}
    expected = {
        f"{name}/{path.relative_to(tree)}"
        for name, tree in trees.items()
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }
    info = f"bohb_service-{VERSION}.dist-info/"

    names = set(zipfile.ZipFile(wheel).namelist())

    assert {name for name in names if not name.startswith(info)} == expected
    assert "bohb_service/py.typed" in expected
    assert any(name.startswith("bohb_service/workers/tabular/data/") for name in expected)
    assert {f"{info}licenses/LICENSE", f"{info}licenses/workers/tabular/data/LICENSE-letter.txt"} <= names


def test_installed_package_knows_its_version_and_runs_a_study(commands, run_cli, tmp_path):
    shutil.copy(ROOT / "configs" / "tiny.yaml", tmp_path)
    master = commands / "bohb-master"

    version = run_cli(master, "--version")
    assert version.returncode == 0, version.stderr
    assert VERSION in version.stdout

    run = run_cli(master, "run", "tiny.yaml", "--workers", 1, "--run-dir", "run", cwd=tmp_path, timeout=120)
    assert run.returncode == 0, run.stderr

    results = run_cli(master, "results", "run", "--json", cwd=tmp_path)
    assert results.returncode == 0, results.stderr
    assert json.loads(results.stdout)["incumbent"]
    assert run_cli.survivors() == []
