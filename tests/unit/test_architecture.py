"""What the architecture demands and import-linter cannot see."""

import ast
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for tree in ("bohb_service", "workers") for path in (ROOT / tree).rglob("*.py"))
HEAVY = {
    "ConfigSpace",
    "cryptography",
    "numpy",
    "pandas",
    "plotly",
    "pydantic",
    "scipy",
    "sklearn",
    "statsmodels",
    "torch",
}


def package_of(folder):
    """The name under which a folder of sources is installed."""
    parts = folder.relative_to(ROOT).parts
    return ".".join(("bohb_service", *parts) if parts[0] == "workers" else parts)


def imports_of(path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def importers_of(package, paths):
    return [
        str(path.relative_to(ROOT)) for path in paths if any(name.split(".")[0] == package for name in imports_of(path))
    ]


def heavy_modules_after(code, cwd):
    """The heavy modules that a fresh interpreter has loaded when `code` has run."""
    script = f"{code}\nimport sys\nprint(*sorted({HEAVY!r} & sys.modules.keys()), sep=',', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.strip()


def test_no_source_file_is_longer_than_400_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}

    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_every_package_says_what_it_is_for():
    told = {
        str(path.relative_to(ROOT)): ast.get_docstring(ast.parse(path.read_text())) or ""
        for path in SOURCES
        if path.name == "__init__.py"
    }

    assert {name: text for name, text in told.items() if len(text.split()) < 8} == {}


def test_every_folder_of_sources_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]

    assert listed == sorted({package_of(path.parent) for path in SOURCES})


def test_targets_are_imported_as_part_of_the_package():
    everything = [*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]

    assert importers_of("workers", everything) == []


def test_only_rpc_imports_pyro():
    outside = [path for path in SOURCES if not path.is_relative_to(ROOT / "bohb_service" / "rpc")]

    assert importers_of("Pyro5", outside) == []


@pytest.mark.parametrize("package", ["optimizer", "scheduler"])
def test_pure_packages_touch_no_file_and_no_entropy(package):
    """Builtins and NumPy's generators need no import of their own that import-linter could forbid."""
    touching = {"open", "print", "input", "breakpoint", "loadtxt", "savetxt", "fromfile", "tofile"}
    drawing_entropy_without_a_seed = {"default_rng", "SeedSequence", "PCG64", "Philox", "MT19937"}
    offences = []
    for path in sorted((ROOT / "bohb_service" / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            seeded = node.args or node.keywords
            if name in touching or (name in drawing_entropy_without_a_seed and not seeded):
                offences.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")

    assert offences == []


def test_worker_command_starts_without_heavy_modules(tmp_path):
    assert heavy_modules_after("import bohb_service.cli.worker", tmp_path) == ""


@pytest.mark.parametrize("command", ["master", "worker"])
def test_help_answers_at_once(command, tmp_path):
    code = f"""
import sys
from bohb_service.cli.{command} import main
sys.argv = ["bohb-{command}", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    begin = time.monotonic()

    assert heavy_modules_after(code, tmp_path) == ""
    # Half a second is the aim; on a busy machine it may take ten times that.
    assert time.monotonic() - begin < 5
