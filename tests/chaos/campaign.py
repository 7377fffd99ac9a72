"""The chaos campaign: studies of real processes under random faults, each then proved right by the checker.

The plans of the runs and the faults with all their parameters follow from the seed. What a fault hits does not: how
far the processes have come by then differs from time to time.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from Pyro5 import nameserver

from tests.chaos.checker import check
from tests.chaos.faults import KINDS, Faults, draw_fault
from tests.chaos.plan import STUDY, draw_plan
from tests.chaos.processes import Site, environment, program, turn_clock
from tests.chaos.proxy import Proxy

PATIENCE_S = 120.0
"""How long a study may take to end when nothing is done to it any more."""

MOST_YEARS = 10
"""How long certificates can be valid."""

_YEAR_S = 365 * 86400.0
_STEP_S = 0.02
_RESTART_S = 0.3


@dataclass(slots=True)
class Tally:
    """What a campaign did and found."""

    faults: Counter = field(default_factory=Counter)
    facts: Counter = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Campaign:
    """Runs studies until so many faults are done, or the time is over.

    Args:
        seed: Of everything that is drawn.
        folder: Where the runs are kept while they run; those that went wrong stay.
        n_faults: How many faults, or None.
        minutes: How long, or None.
        is_secure: Whether the processes use credentials.
        reuses_names: See `Site`.
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        n_faults: int | None,
        minutes: float | None,
        is_secure: bool = False,
        reuses_names: bool = True,
    ) -> None:
        self._seed, self._folder = seed, folder
        self._n_faults = n_faults
        self._began = time.monotonic()
        self._until = None if minutes is None else self._began + 60 * minutes
        self._is_secure, self._reuses_names = is_secure, reuses_names
        self._site: Site | None = None
        self.tally = Tally()
        self._why_no_disk = why_no_disk()

    def run(self) -> int:
        """Do it all and print it; the exit code."""
        credentials = self._make_credentials() if self._is_secure else None
        proxy = Proxy(lambda: self._site.upstream() if self._site else None)
        if self._why_no_disk:
            print(f"without full disks: {self._why_no_disk}")
        try:
            with name_server(f"PYRO:bohb.master@127.0.0.1:{proxy.port}") as address:
                number = 0
                while not self._is_enough() and not self.tally.problems:
                    self._run_one(number, proxy, address, credentials)
                    number += 1
        finally:
            proxy.close()
        self.tally.facts.update(proxy.effects)
        self._print_summary()
        return 1 if self.tally.problems else 0

    def _is_enough(self):
        is_late = self._until is not None and time.monotonic() >= self._until
        return is_late or (self._n_faults is not None and self.tally.faults.total() >= self._n_faults)

    def _run_one(self, number, proxy, address, credentials):
        rng = random.Random(f"{self._seed}:{number}")
        plan = draw_plan(rng)
        print(f"run {number}: {plan}", flush=True)
        folder = self._folder / f"run-{number}"
        site = Site(
            folder,
            plan,
            address,
            with_disk=not self._why_no_disk,
            credentials=credentials,
            reuses_names=self._reuses_names,
        )
        self._site = site
        faults = Faults(site, proxy)
        try:
            try:
                self._torment(site, faults, rng, number)
                faults.undo(everything=True)
                self._let_it_end(site)
            finally:
                faults.undo(everything=True)
                site.wind_up()
            self._judge(site, folder, number)
        finally:
            site.remove()
        if not self.tally.problems:
            shutil.rmtree(folder)

    def _torment(self, site, faults, rng, number):
        """Do faults to a run until it is over or there were enough of them."""
        without = ("full disk",) if self._why_no_disk else ()
        if number % 4 != 3:  # every fourth run is tormented from its first moment
            while not (site.side_log.exists() or site.problems):
                site.keep_up(_RESTART_S)
                time.sleep(_STEP_S)
        draw = draw_fault(rng, without=without)
        due = time.monotonic() + draw.pause
        while not (site.is_over or site.problems or self._is_enough()):
            faults.undo()
            site.keep_up(_RESTART_S)
            if time.monotonic() >= due:
                done = faults.do(draw)
                if done is not None:
                    self.tally.faults[draw.kind] += 1
                    print(f"{time.monotonic() - self._began:7.1f} s  run {number}  {done}", flush=True)
                draw = draw_fault(rng, without=without)
                due = time.monotonic() + draw.pause
            time.sleep(_STEP_S)

    def _let_it_end(self, site):
        """Let a study end in peace."""
        deadline = time.monotonic() + PATIENCE_S
        while not (site.is_over or site.problems):
            site.keep_up(0.0)
            time.sleep(_STEP_S)
            if time.monotonic() > deadline:
                site.problems.append(f"the study did not end within {PATIENCE_S:g} s without faults")

    def _judge(self, site, folder, number):
        logs = [started.log for started in site.started if started.name.startswith("w")]
        problems = list(site.problems)
        try:
            history, violations = check(site.run_dir, site.side_log, logs)
        except Exception as error:  # noqa: BLE001  (whatever it is, the run's files cannot be read)
            problems.append(f"the run cannot be checked: {error!r}")
        else:
            problems += map(str, violations)
            if not history.is_finished:
                problems.append("the journal does not say that the study is finished")
            problems += wrong_deaths(history, site.dead)
            facts = Counter(
                runs=1,
                trials=len(history.started),
                leases=len(history.leases),
                results=len(history.results),
                requeued=history.n_requeued,
                abandoned=sum(trial.state == "abandoned" for trial in history.trials.values()),
                masters=history.n_masters,
                workers=len(logs),
            )
            self.tally.facts.update(facts)
            print(f"run {number}: {', '.join(f'{n} {name}' for name, n in facts.items())}", flush=True)
        if problems:
            site.keep()
            self.tally.problems += [*problems, f"run {number} is kept in {folder}"]

    def _make_credentials(self):
        """Credentials that are valid at every time that a turned clock may show."""
        folder, clock = self._folder / "credentials", self._folder / "clock"
        turn_clock(clock, -MOST_YEARS / 2 * _YEAR_S)
        make = program("master", "credentials", folder, "--host", "127.0.0.1", "--days", 365 * MOST_YEARS)
        subprocess.run(make, env=environment(clock), stdout=subprocess.DEVNULL, check=True)
        return folder

    def _print_summary(self):
        seconds = time.monotonic() - self._began
        total = self.tally.faults.total()
        print(f"\nseed {self._seed}: {total} faults in {seconds:.0f} s, {total / seconds:.1f} a second")
        for kind in KINDS:
            print(f"  {kind:28}{self.tally.faults[kind]:7}")
        for name, n in self.tally.facts.items():
            print(f"  {name:28}{n:7}")
        for problem in self.tally.problems:
            print(problem)
        print(f"verdict: {f'{len(self.tally.problems)} violations' if self.tally.problems else 'clean'}")


def wrong_deaths(history, dead) -> list[str]:
    """Records that say of a living worker that its process died."""
    return [
        f"said to be dead, but it lives: {record}"
        for record, worker in history.deaths
        if worker not in dead and "its process died" in record
    ]


def why_no_disk() -> str | None:
    """Why no small disk can be made here, or None."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "only root can mount a small disk"
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=False, capture_output=True).returncode:
            return "this machine does not let us mount a small disk"
        subprocess.run(["umount", folder], check=False)
    return None


@contextmanager
def name_server(uri):
    """A stock name server that knows the master by this URI; its address."""
    own, daemon, _ = nameserver.start_ns(host="127.0.0.1", port=0, enableBroadcast=False)
    daemon.nameserver.register(f"bohb.{STUDY}.master", uri)
    thread = threading.Thread(target=daemon.requestLoop, daemon=True)
    thread.start()
    try:
        yield f"{own.host}:{own.port}"
    finally:
        daemon.shutdown()
        thread.join()


def main(arguments: list[str] | None = None) -> int:
    """Read the options and run a campaign; the exit code is 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="how long")
    parser.add_argument("--faults", type=int, help="how many faults; 200 if neither is given")
    parser.add_argument("--folder", type=Path, help="where the runs are kept; a temporary folder by default")
    parser.add_argument(
        "--reuse-names",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="start workers again under their old names; the default",
    )
    parser.add_argument("--credentials", action="store_true", help="with TLS, certificates and tokens")
    options = parser.parse_args(arguments)
    n_faults = 200 if options.faults is None and options.minutes is None else options.faults
    folder = options.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    campaign = Campaign(
        options.seed,
        folder,
        n_faults=n_faults,
        minutes=options.minutes,
        is_secure=options.credentials,
        reuses_names=options.reuse_names,
    )
    return campaign.run()


if __name__ == "__main__":
    sys.exit(main())
