"""Objectives that tests hand to real workers, as ``tests/objectives.py:Name``.

Nothing heavy is imported at the top: a process that loads one of these starts in a fraction of a second.
"""

import contextlib
import ctypes
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from bohb_service.errors import StudyError
from bohb_service.worker.base import Worker


def unit_square():
    from ConfigSpace import ConfigurationSpace

    return ConfigurationSpace({"x": (0.0, 1.0), "y": (0.0, 1.0)})


class OfTwoFloats(Worker):
    """Base of most: ``x`` and ``y`` in [0, 1]."""

    @staticmethod
    def configuration_space(**_options):
        return unit_square()


class Quadratic(OfTwoFloats):
    """Smallest at (0.3, 0.7); a larger budget takes away a constant.

    Options: ``sleep_per_unit``, seconds of sleep for each unit of budget.
    """

    def __init__(self, sleep_per_unit=0.0):
        super().__init__(sleep_per_unit=sleep_per_unit)

    def compute(self, config, budget, context):
        time.sleep(self.options["sleep_per_unit"] * budget)
        loss = (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2 + 1.0 / budget
        context.report(budget, loss)
        return {"loss": loss, "info": {"budget": budget}}

    def refit(self, config, budget, context):
        return {"test_error": min(1.0, self.compute(config, budget, context)["loss"])}


class NoOp(OfTwoFloats):
    """Costs nothing."""

    def compute(self, config, _budget, _context):
        return config["x"] + config["y"]


class AlwaysFails(OfTwoFloats):
    def compute(self, config, budget, context):
        raise RuntimeError("this objective always fails")


class CannotRefit(Quadratic):
    def refit(self, config, budget, context):
        raise RuntimeError("no room for the model")


class Picky(OfTwoFloats):
    """Refuses budgets that its options do not allow, and ``x`` above a half."""

    def __init__(self, most=9.0):
        super().__init__(most=most)

    def check_trial(self, config, budget):
        if budget > self.options["most"]:
            raise StudyError(f"budget {budget:g} is above worker_options.most, {self.options['most']:g}; raise that")
        if config["x"] > 0.9:
            raise ValueError(f"x = {config['x']:g}")

    def compute(self, config, _budget, _context):
        return config["x"]


class HalfRaises(OfTwoFloats):
    """The right half of the square is out of bounds."""

    def compute(self, config, budget, context):
        if config["x"] > 0.5:
            raise ValueError(f"x = {config['x']} is too large")
        return (config["x"] - 0.4) ** 2 + config["y"] + 1.0 / budget


class LegacyWorker:
    """Written for HpBandSter, without its base class."""

    def __init__(self, offset=0.0, **_ignored):
        self.offset = offset

    def compute(self, config_id, config, budget, working_directory, **kwargs):
        assert isinstance(config_id, tuple)
        assert len(config_id) == 3
        assert {config_id: 1}
        assert isinstance(budget, float)
        assert isinstance(working_directory, str)
        assert not kwargs
        assert Path(working_directory).is_dir()
        return {"loss": config["x"] + self.offset, "info": {"config_id": config_id, "folder": working_directory}}

    @staticmethod
    def get_configspace():
        return unit_square()


class Remembers(OfTwoFloats):
    """Leaves a file in the directory of the configuration and tells what it found there."""

    def compute(self, config, budget, context):
        file = context.directory / "budgets"
        before = file.read_text().split() if file.exists() else []
        file.write_text(" ".join([*before, str(budget)]))
        return {"loss": 1.0 / budget, "info": {"before": before, "process": os.getpid()}}


class Misbehaves(OfTwoFloats):
    """Does what the value of the hyperparameter ``how`` says, one of the methods below; ``ok`` is harmless.

    Options: ``setup`` and ``construct`` name a fault at those times; ``folder`` is where some leave traces.
    """

    def __init__(self, setup="ok", construct="ok", folder="."):
        super().__init__(setup=setup, folder=folder)
        self.folder = Path(folder)
        getattr(self, construct)()

    def setup(self):
        getattr(self, self.options["setup"])()

    def compute(self, config, budget, context):
        self.config, self.context = config, context
        return getattr(self, config["how"])()

    def ok(self):
        return 0.5

    def raises(self):
        raise ValueError("no such thing")

    def refuses(self):
        raise StudyError("worker_options.data: there is no file x.csv")

    def prints_and_raises(self):
        print(f"epoch of configuration {self.context.configuration_id}")
        sys.stdout.write("a line without an end")
        raise ValueError("diverged")

    def raises_keyboard_interrupt(self):
        raise KeyboardInterrupt

    def raises_after_points(self):
        for step in range(3):
            self.context.report(step, 1.0 / (step + 1))
        raise ValueError("diverged")

    def returns_none(self):
        return None

    def returns_nan(self):
        return math.nan

    def returns_inf(self):
        return math.inf

    def returns_minus_inf(self):
        return {"loss": -math.inf}

    def returns_text(self):
        return "0.3"

    def returns_no_loss(self):
        return {"info": {"accuracy": 0.9}}

    def returns_numpy(self):
        import numpy as np

        return {"loss": np.float32(0.25), "info": {"curve": np.arange(3), "best": np.int64(7)}}

    def returns_model(self):
        return {"loss": 0.1, "info": {"history": [1, {"model": object()}]}}

    def returns_too_much(self):
        return {"loss": 0.1, "info": {"blob": ["x" * 1000] * 2000}}

    def exits(self):
        sys.exit(3)

    def exits_hard(self):
        os._exit(7)

    def segfaults(self):
        print("about to crash")
        ctypes.string_at(0)

    def aborts(self):
        os.abort()

    def is_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def eats_memory(self):
        hoard = bytearray(160 << 20)
        hoard[::4096] = b"x" * len(hoard[::4096])
        time.sleep(60)

    def reports_and_sleeps(self):
        for step in range(3):
            self.context.report(step, 1.0 / (step + 1))
        time.sleep(60)

    def child_eats_memory(self):
        code = "import time; hoard = bytearray(160 << 20); hoard[::4096] = b'x' * len(hoard[::4096]); time.sleep(60)"
        subprocess.run([sys.executable, "-c", code], check=False)

    def sleeps(self):
        self.leave_trace("sleeping", os.getpid())
        time.sleep(60)

    def takes_a_while(self):
        time.sleep(0.5)

    def saves_when_preempted(self):
        """Train until it is told of the end; what it returns then is no result."""
        self.leave_trace("training", os.getpid())
        while not self.context.preempted:
            time.sleep(0.01)
        self.leave_trace("saved", "half a training")
        return 0.0

    def raises_when_preempted(self):
        self.saves_when_preempted()
        raise InterruptedError("no time left")

    def needs_a_program(self):
        """Fail as soon as a program that was started ends."""
        with subprocess.Popen(["sleep", "300"]) as program:
            self.leave_trace("program", program.pid)
            code = program.wait()
        raise ChildProcessError(f"the program ended with {code}")

    def crashes_without_its_program(self):
        with contextlib.suppress(ChildProcessError):
            self.needs_a_program()
        os.abort()

    def dies_of_termination(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self.leave_trace("program", os.getpid())
        time.sleep(60)

    def terminates_what_it_starts(self):
        """Terminate a program and a forked copy of this process; tells the signals that ended them."""
        program = subprocess.Popen(["sleep", "300"])
        copy = os.fork()
        if copy == 0:
            time.sleep(300)
            os._exit(0)
        os.kill(copy, signal.SIGTERM)
        program.terminate()
        _, status = os.waitpid(copy, 0)
        return {"loss": 0.5, "info": {"codes": [program.wait(), os.waitstatus_to_exitcode(status)]}}

    def leaves_a_thread_that_asks(self):
        context = self.context

        def ask():
            while not context.preempted:
                pass

        threading.Thread(target=ask, daemon=True).start()
        return 0.5

    def sleeps_at_once(self):
        time.sleep(60)

    def spoils_the_clock(self):
        """Do what tools that freeze time for tests do, for the rest of the process."""
        reading = self.config["reading"]
        time.monotonic = lambda: reading
        return 0.5

    def naps(self):
        self.leave_trace("napping", os.getpid())
        time.sleep(0.2)
        return 0.5

    def counts(self):
        """Nap, and leave a line for each time."""
        with (self.folder / "counts").open("a") as file:
            file.write("x")
        return self.naps()

    def naps_longer(self):
        self.leave_trace("napping", os.getpid())
        time.sleep(0.6)
        return 0.5

    def reports_and_naps(self):
        self.context.report(0, 1.0)
        self.context.report(1, 0.5)
        time.sleep(1.2)
        return 0.5

    def holds_the_lock(self):
        """Hold the interpreter lock for a second or more in one call, and for about two seconds in all."""
        self.leave_trace("busy", os.getpid())
        started, length = time.monotonic(), 16
        while time.monotonic() - started < 1.5:
            length += 1
            # Takes twice as long with each letter, all of it inside one call of C code.
            re.match("(a+)+$", "a" * length + "b")
        return 0.5

    def holds_the_lock_for_half_a_minute(self):
        """Hold the interpreter lock in one call of C code; tells how often a thread could run meanwhile."""
        beats, has_ended = [], threading.Event()

        def beat():
            while not has_ended.wait(0.5):
                beats.append(1)

        thread = threading.Thread(target=beat)
        thread.start()
        # Functions of a `PyDLL` are called without giving the lock away.
        ctypes.PyDLL(None).sleep(30)
        n_beats = len(beats)
        has_ended.set()
        thread.join()
        return {"loss": 0.5, "info": {"beats": n_beats}}

    def prints_a_lot(self):
        line = "x" * 1023 + "\n"
        for _ in range(50 * 1024):
            sys.stdout.write(line)
        print("the last line")
        return 0.5

    def closes_stdout(self):
        os.close(1)
        return 0.5

    def closes_all_small_files(self):
        os.closerange(0, 256)
        return 0.5

    def closes_everything(self):
        os.closerange(0, 4096)
        self.leave_trace("busy", os.getpid())
        time.sleep(60)

    def starts_a_process(self):
        """Leave a process running and return."""
        process = subprocess.Popen(["sleep", "300"])
        self.leave_trace("grandchild", process.pid)
        return 0.5

    def starts_processes_and_sleeps(self):
        same_group = subprocess.Popen(["sleep", "300"])
        own_group = subprocess.Popen(["sleep", "300"], start_new_session=True)
        self.leave_trace("grandchild", same_group.pid)
        self.leave_trace("stray", own_group.pid)
        self.sleeps()

    def starts_a_process_and_exits(self):
        self.starts_a_process()
        os._exit(1)

    def forks_and_exits(self):
        """Leave a forked copy of this process behind, which holds all its files open."""
        pid = os.fork()
        if pid == 0:
            time.sleep(300)
            os._exit(0)
        self.leave_trace("grandchild", pid)
        os._exit(1)

    def forks_and_returns_twice(self):
        """Return in a forked copy first, then in this process."""
        if os.fork() == 0:
            return 0.9
        time.sleep(0.3)
        return 0.5

    def reports_a_lot(self):
        for step in range(25_000):
            self.context.report(step, float(step))
        return 0.5

    def leave_trace(self, name, content):
        """Write a file at once, so that a test can wait for it."""
        draft = self.folder / f".{name}"
        draft.write_text(str(content))
        draft.rename(self.folder / name)


class FailsInSetup(OfTwoFloats):
    """Its n-th ``setup`` fails if letter n of the option ``pattern`` is an x; the count is kept in ``folder``."""

    def setup(self):
        counter = Path(self.options["folder"]) / "setups"
        n_before = len(counter.read_text()) if counter.exists() else 0
        counter.write_text("." * (n_before + 1))
        if self.options["pattern"][n_before] == "x":
            raise OSError("the data set is not there")

    def compute(self, config, budget, context):
        if config["exit"]:
            os._exit(1)
        return 0.5


class TearsDown(OfTwoFloats):
    """Leaves a file when its process ends in order."""

    def compute(self, config, budget, context):
        return 0.5

    def teardown(self):
        (Path(self.options["folder"]) / "torn-down").write_text("yes")


class NotAWorker:
    """Has no ``compute``."""


class Sleeps(OfTwoFloats):
    """Takes ``seconds``, whatever the budget."""

    def compute(self, config, budget, context):
        time.sleep(self.options["seconds"])
        return config["x"] + config["y"]


class SumOfValues(Worker):
    """Costs nothing; for any space with numbers."""

    def compute(self, config, _budget, _context):
        return float(sum(value for value in config.values() if not isinstance(value, str)))


class IsAlone(OfTwoFloats):
    """Fails if there is a directory of another evaluation beside its own."""

    def compute(self, config, budget, context):
        own = context.directory
        assert [entry for entry in own.parent.iterdir() if entry.is_dir()] == [own]
        return config["x"]


class Trains(OfTwoFloats):
    """Costs about ``budget`` and goes on where the directory says; the loss at 1 ranks as at any larger budget.

    Options: ``step_s``, seconds a unit of budget; ``drift`` is added to a loss that was continued; ``noise``, times
    the number of evaluations so far, to every loss; ``fail_above``: fails where ``x`` is larger.
    """

    def __init__(self, step_s=0.0, drift=0.0, noise=0, fail_above=1.0):
        super().__init__(step_s=step_s, drift=drift, noise=noise, fail_above=fail_above)
        self.n_evaluations = 0

    def compute(self, config, budget, context):
        self.n_evaluations += 1
        if config["x"] > self.options["fail_above"]:
            raise ValueError("x is too large")
        file = context.directory / "units"
        done = float(file.read_text()) if file.exists() else 0.0
        assert done == (context.previous_budget or 0.0)
        time.sleep(self.options["step_s"] * (budget - done))
        file.write_text(str(budget))
        spoilt = self.options["noise"] * self.n_evaluations + (self.options["drift"] if done else 0.0)
        return config["x"] + config["y"] / budget + spoilt


class SeesDevices(Sleeps):
    """Tells which devices were visible before anything was imported."""

    devices = os.environ.get("CUDA_VISIBLE_DEVICES")

    def compute(self, config, budget, context):
        return {"loss": super().compute(config, budget, context), "info": {"devices": self.devices}}
