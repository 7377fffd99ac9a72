"""What a worker class says of itself, asked in a process of its own: the master never imports an objective.

``python -m bohb_service.worker.describe SPEC [BASE]`` reads a question as JSON and prints one JSON line. The question
has ``options``, ``portfolio`` (whether recommended configurations are asked for), ``space`` and ``budgets``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bohb_service.errors import BohbError, WorkerSpecError

if TYPE_CHECKING:
    from bohb_service.worker.base import Worker

_SEED = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study wants of its worker.

    Attributes:
        budgets: At which configurations will be evaluated, smallest first.
        space: The search space if it is not the worker's own, as `SearchSpace.to_json` wrote it.
    """

    budgets: tuple[float, ...]
    space: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a study needs to know of its worker.

    Attributes:
        space: Its own search space in ConfigSpace's dict form, or None.
        refit: Whether it can train the incumbent again at the end.
        recommended: Configurations that it recommends to try first, or None if it has no word on that or was not asked.
    """

    space: dict[str, Any] | None
    refit: bool
    recommended: list[dict[str, Any]] | None = None


def describe(
    spec: str,
    options: Mapping[str, Any],
    timeout_s: float = 60.0,
    base: Path | None = None,
    *,
    portfolio: bool = True,
    plan: Plan | None = None,
) -> Description:
    """The description of a worker class.

    Args:
        spec: As `load_worker` takes it.
        options: ``worker_options`` of the study.
        timeout_s: How long importing the class and building its space may take.
        base: Folder of a relative file path in the spec.
        portfolio: Whether to ask for the recommended configurations, which may cost time.
        plan: What the study wants of it, for its `check_trial`; None to ask nothing.

    Raises:
        WorkerSpecError: The class cannot be loaded or does not take the options, its space cannot be built, or it
            refuses the plan.
    """
    asked = {
        "options": dict(options),
        "portfolio": portfolio,
        "space": plan and plan.space,
        "budgets": plan and plan.budgets,
    }
    command = [sys.executable, "-P", "-m", "bohb_service.worker.describe", spec]
    if base:
        command.append(str(base))
    # Files, not pipes: what user code leaves running may keep them open without keeping us waiting.
    with (
        tempfile.TemporaryFile() as question,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        question.write(json.dumps(asked, default=str).encode())
        question.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=question, stdout=output, stderr=errors, start_new_session=True
        )
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise WorkerSpecError(
                f"worker {spec!r}: importing it and building its space took longer than {timeout_s:g} s; "
                "move slow work from the module and the space into setup()"
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        return _read(spec, output.read(), errors.read(), code)


def _read(spec: str, output: bytes, errors: bytes, code: int) -> Description:
    try:
        answer = json.loads(output)
    except ValueError as error:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise WorkerSpecError(
            f"worker {spec!r}: the process that imported it ended with exit code {code}"
            f"{': ' + last if last else ''}; importing a worker must not end the process"
        ) from error
    if answer["error"] is not None:
        raise WorkerSpecError(answer["error"])
    return Description(answer["space"], answer["refit"], answer["recommended"])


def _answer(spec: str, question: Mapping[str, Any], base: Path | None) -> dict[str, Any]:
    """The description as plain data, with the error instead if there is one."""
    from bohb_service.worker.loader import load_worker
    from bohb_service.worker.objective import check_options, overrides_refit, own_space, recommended

    options = question["options"]
    try:
        worker = load_worker(spec, base)
        check_options(worker, options)
        space = own_space(worker, options)
        form = None
        if space is not None:
            from bohb_service.space.serial import dump_space

            form = dump_space(space)
        first = recommended(worker, options) if question["portfolio"] else None
        searched = question["space"] or form
        if question["budgets"] is not None and searched is not None:
            _check_plan(worker, options, searched, question["budgets"])
    except BohbError as error:
        return {"error": str(error)}
    return {
        "space": None if form is None else json.loads(form),
        "refit": overrides_refit(worker),
        "recommended": first,
        "error": None,
    }


def _check_plan(worker: "type[Worker]", options: Mapping[str, Any], space_json: str, budgets: list[float]) -> None:
    from bohb_service.space import SearchSpace, extremes
    from bohb_service.worker.objective import check_trials

    check_trials(worker, options, extremes(SearchSpace.from_json(space_json), _SEED), budgets)


def main(arguments: list[str]) -> int:
    """Run as the describing process; the exit code.

    Args:
        arguments: The spec, and the folder of relative file paths in the spec if there is one.
    """
    # Whatever user code prints goes to stderr; the one line of JSON has the output for itself.
    output = os.dup(1)
    os.dup2(2, 1)
    spec, *rest = arguments
    sys.argv = [spec]
    base = Path(rest[0]) if rest else None
    answer = _answer(spec, json.load(sys.stdin), base)
    os.write(output, f"{json.dumps(answer)}\n".encode())
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Not sys.exit: threads that user code has left behind must not keep the answer waiting.
    os._exit(code)
