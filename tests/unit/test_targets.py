"""What holds for the package of every target: its entry point, and that importing it is cheap."""

import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points

import pytest

from bohb_service.worker.base import Worker


@dataclass(frozen=True)
class Target:
    """A target.

    Attributes:
        package: Its package, in `bohb_service.workers`.
        worker: Name of its class.
        entry: Name of its entry point.
        options: Arguments with which a worker, and its space, are made.
        never: What making them must not import, beside `ConfigSpace` and what that needs.
    """

    package: str
    worker: str
    entry: str
    options: dict
    never: set


TARGETS = (
    Target("autonet", "AutoNet", "autonet", {"data": "letter", "space": "full"}, {"torch", "sklearn", "pandas"}),
    Target("sghmc", "SGHMC", "sghmc", {"data": "diabetes"}, {"torch", "sklearn", "pandas", "arviz"}),
    Target("ppo", "PPO", "ppo", {"space": "full"}, {"torch", "sklearn", "pandas"}),
    Target("sklearn", "SklearnMLP", "sklearn-mlp", {"dataset": "letter"}, {"sklearn"}),
)

HEAVY = {"torch", "sklearn", "pandas", "numpy", "ConfigSpace", "scipy", "arviz", "gymnasium"}

every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.package)


@every_target
def test_installed_under_its_entry_point(target):
    worker = getattr(import_module(f"bohb_service.workers.{target.package}"), target.worker)
    (entry,) = entry_points(group="bohb_service.workers", name=target.entry)
    assert entry.load() is worker
    assert issubclass(worker, Worker)


@every_target
def test_importing_the_package_or_making_the_space_does_not_import_what_trains(target):
    code = (
        f"import sys, bohb_service.workers.{target.package} as target\n"
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)\n"
        f"target.{target.worker}(**{target.options}).configuration_space(**{target.options})\n"
        f"assert not {target.never} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@every_target
def test_unknown_attribute_of_the_package(target):
    package = import_module(f"bohb_service.workers.{target.package}")
    with pytest.raises(AttributeError, match="Nonsense"):
        package.Nonsense  # noqa: B018
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
