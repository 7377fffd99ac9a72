"""From the text that names a worker to its class."""

import importlib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from bohb_service.errors import WorkerSpecError
from bohb_service.suggestions import did_you_mean
from bohb_service.worker.base import Worker
from bohb_service.worker.verdicts import message_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "bohb_service.workers"

_FORMS = "use the name of an entry point, package.module:Class, or path/to/file.py:Class"
_BUILT_IN = "bohb_service.workers"
_DISTRIBUTION = "bohb-service"
_PACKAGE_OF_MODULE = {"sklearn": "scikit-learn"}


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker that an installed distribution offers by name.

    Attributes:
        name: What a study file says.
        target: ``package.module:Class``.
        distribution: Who installed it.
    """

    name: str
    target: str
    distribution: str

    def __str__(self) -> str:
        return f"{self.name}  {self.target}  ({self.distribution})"


def list_workers() -> tuple[WorkerEntry, ...]:
    """All workers installed under the entry point group ``bohb_service.workers``, by name."""
    entries = {
        WorkerEntry(point.name, point.value, point.dist.name if point.dist else "unknown") for point in _entry_points()
    }
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.distribution)))


def load_worker(spec: str, base: Path | None = None) -> type[Worker]:
    """The class that a spec names.

    A class that is no subclass of `Worker` but has a ``compute`` method is returned as it is;
    `Objective` calls it in its own style.

    Args:
        spec: Entry point name, ``package.module:Class`` or ``path/to/file.py:Class``.
        base: Folder from which a relative file path is taken; the current one by default.

    Raises:
        WorkerSpecError: Nothing of that name exists, it cannot be imported, or it is no worker.
    """
    location, colon, name = spec.rpartition(":")
    if not colon and not spec.endswith(".py") and "/" not in spec:
        entry = _find_entry_point(spec)
        location, _, name = entry.value.partition(":")
        module = _import_module(location, spec)
    elif not location or not name.strip():
        raise WorkerSpecError(f"worker {spec!r} does not say which class; {_FORMS}")
    else:
        module = import_location(location, spec, base)
    return _class_of(module, name.strip(), spec)


def import_location(location: str, spec: str, base: Path | None = None) -> ModuleType:
    """The module of a dotted name, also from the current folder, or of a Python file.

    Args:
        location: ``package.module`` or ``path/to/file.py``.
        spec: What the user wrote, for messages.
        base: Folder from which a relative file path is taken; the current one by default.

    Raises:
        WorkerSpecError: There is none, or it cannot be imported.
    """
    if location.endswith(".py") or "/" in location:
        return _import_file((base or Path.cwd()) / Path(location).expanduser(), spec)
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return _import_module(location, spec)


def _entry_points() -> "tuple[EntryPoint, ...]":
    # Costs 4 MiB and 12 ms, which a worker named by its module need not pay.
    from importlib.metadata import entry_points

    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _find_entry_point(spec: str) -> "EntryPoint":
    points = _entry_points()
    found = {point.dist.name if point.dist else "unknown": point for point in points if point.name == spec}
    if not found:
        names = sorted({point.name for point in points})
        known = did_you_mean(spec, names, at_most=3) or f"installed are {', '.join(names)}"
        raise WorkerSpecError(f"no worker is called {spec!r}; {known if names else 'none is installed'} ({_FORMS})")
    if len(found) > 1:
        raise WorkerSpecError(
            f"worker {spec!r} is offered by several distributions: {', '.join(sorted(found))}; "
            f"name the class, e.g. {next(iter(found.values())).value}, or uninstall the others"
        )
    return next(iter(found.values()))


def _import_module(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing and (name == missing or name.startswith(f"{missing}.")):
            raise WorkerSpecError(
                f"worker {spec!r}: there is no module {missing!r} on the path "
                f"(current folder: {Path.cwd()}); correct the name, install it, or give path/to/file.py:Class"
            ) from error
        raise _import_failure(error, name, spec) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(error, name, spec) from error


def _import_file(path: Path, spec: str) -> ModuleType:
    """Import a file under its own name, as ``python file.py`` would, so that what it defines can be pickled."""
    path = path.resolve()
    if not path.is_file():
        hint = did_you_mean(path.name, _python_files(path.parent)) or "give the path from the folder of the study file"
        raise WorkerSpecError(f"worker {spec!r}: there is no file {path}; {hint}")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    name = path.stem if loaded is None else f"bohb_worker_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise WorkerSpecError(f"worker {spec!r}: {path} is no Python file; {_FORMS}")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failure(error, str(path), spec) from error
    return module


def _python_files(folder: Path) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.name.endswith(".py")] if folder.is_dir() else []


def _import_failure(error: BaseException, where: str, spec: str) -> WorkerSpecError:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return WorkerSpecError(
            f"worker {spec!r} needs the module {error.name!r}, which is not installed; "
            f"{_install_hint(error.name, where)}"
        )
    return WorkerSpecError(f"worker {spec!r}: importing {where} raised {message_of(error)}; mend that first")


def _install_hint(missing: str, where: str) -> str:
    root = missing.partition(".")[0]
    package = _PACKAGE_OF_MODULE.get(root, root)
    if where.startswith(_BUILT_IN):
        from importlib.metadata import PackageNotFoundError, requires

        try:
            requirements = requires(_DISTRIBUTION) or []
        except PackageNotFoundError:
            requirements = []
        for requirement in requirements:
            extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", requirement)
            if extra and re.match(rf"{re.escape(package)}(?![\w.-])", requirement, re.IGNORECASE):
                return f"pip install '{_DISTRIBUTION}[{extra[1]}]'"
    return f"pip install {package}"


def _class_of(module: ModuleType, name: str, spec: str) -> type[Worker]:
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        workers = [key for key in classes if key != "Worker" and callable(getattr(vars(module)[key], "compute", None))]
        other = "define a subclass of bohb_service.Worker there"
        hint = did_you_mean(name, classes) or (f"its workers are {', '.join(workers[:5])}" if workers else other)
        raise WorkerSpecError(f"worker {spec!r}: {module.__name__} has no class {name!r}; {hint}")
    if not isinstance(found, type):
        raise WorkerSpecError(f"worker {spec!r} is a {type(found).__name__}, no class; name the class itself")
    missing: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
    if not callable(getattr(found, "compute", None)) or missing:
        raise WorkerSpecError(
            f"worker {spec!r} does not define {', '.join(sorted(missing)) or 'compute'}; "
            "a worker is a subclass of bohb_service.Worker with compute(self, config, budget, context)"
        )
    return cast("type[Worker]", found)
