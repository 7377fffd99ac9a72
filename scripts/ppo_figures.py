"""The figures of the target `ppo`.

    OMP_NUM_THREADS=1 python scripts/ppo_figures.py cycle [--workers 2] [--seed 0] [--work FOLDER]
    OMP_NUM_THREADS=1 python scripts/ppo_figures.py baselines [--seeds 5]
    OMP_NUM_THREADS=1 python scripts/ppo_figures.py throughput [--repeats 5]
    OMP_NUM_THREADS=1 python scripts/ppo_figures.py pictures [--trials 9]

cycle: the study of `configs/ppo.yaml`, then nine trials of its incumbent with seeds that the study never saw.
baselines: final returns beside those of stable-baselines3 at equal environment steps, networks, epochs and minibatches.
throughput: environment steps per second, training included, beside stable-baselines3, by turns in one process.
pictures: learning curves of the incumbent that `cycle` has found and of the default configuration, as PNG.

Each writes `ppo_NAME.txt` beside this file, pictures also `ppo_curves.png`. The exit status is 1 if a target is missed.
Needs the extra `ppo`, and stable-baselines3 and matplotlib for all but the first.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bohb_service.api.study_run import StudyRun
from bohb_service.study import load_study
from bohb_service.workers.ppo import train_ppo
from bohb_service.workers.ppo.convergence import smoothed

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "configs" / "ppo.yaml"
PICTURE = Path(__file__).with_name("ppo_curves.png")
INCUMBENT = "incumbent: "
FRESH_SEED = 10**6
"""First of the seeds of fresh trials. Those of a study are spread over all numbers below 2**31."""

MINUTES, EPISODES = 15, 150

SETTINGS: dict[str, Any] = {"n_envs": 8, "n_steps": 256, "epochs": 10, "minibatch": 64, "gae": 0.95, "norm": 0.5}
ROLLOUT = SETTINGS["n_envs"] * SETTINGS["n_steps"]
"""Steps of an update; stable-baselines3 takes whole ones alone."""

TASKS: dict[str, dict[str, Any]] = {
    "CartPole-v1": {"steps": 24 * ROLLOUT, "learning_rate": 1e-3, "discount": 0.98},
    "Pendulum-v1": {"steps": 49 * ROLLOUT, "learning_rate": 1e-3, "discount": 0.9},
}


def ours(env: str, steps: int, learning_rate: float, discount: float, seed: int) -> float:
    """Mean return of the last 20 episodes of our agent's training."""
    config = {
        "rollout_steps": ROLLOUT,
        "learning_rate": learning_rate,
        "baseline_learning_rate": learning_rate,
        "discount": discount,
        "entropy_regularization": 0.0,
        "optimization_steps": SETTINGS["epochs"],
        "baseline_optimization_steps": SETTINGS["epochs"],
        "minibatch_size": SETTINGS["minibatch"],
        "gae_lambda": SETTINGS["gae"],
        "max_grad_norm": SETTINGS["norm"],
    }
    return -train_ppo(config, env, seed, loss="final_return", steps=steps, n_envs=SETTINGS["n_envs"]).loss


def theirs(env: str, steps: int, learning_rate: float, discount: float, seed: int) -> float:
    """Mean return of the last 20 episodes of the training of stable-baselines3's agent."""
    import gymnasium
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    # Actions from -1 to 1, as our agents say them.
    wrapper = gymnasium.wrappers.RescaleAction if env == "Pendulum-v1" else None
    bounds = {"min_action": np.float32(-1), "max_action": np.float32(1)} if wrapper else None
    lanes = make_vec_env(env, SETTINGS["n_envs"], seed, wrapper_class=wrapper, wrapper_kwargs=bounds)
    agent = PPO(
        "MlpPolicy",
        lanes,
        learning_rate,
        SETTINGS["n_steps"],
        SETTINGS["minibatch"],
        SETTINGS["epochs"],
        discount,
        SETTINGS["gae"],
        max_grad_norm=SETTINGS["norm"],
        policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
        stats_window_size=20,
        seed=seed,
        device="cpu",
    )
    agent.learn(steps)
    assert agent.ep_info_buffer is not None
    return float(np.mean([episode["r"] for episode in agent.ep_info_buffer]))


def write(name: str, lines: Iterable[str]) -> None:
    """Print a table and write it beside this file, with what it was made on."""
    packages = ", ".join(f"{package} {version(package)}" for package in ("torch", "gymnasium", "numpy"))
    head = [
        f"OMP_NUM_THREADS=1 python scripts/ppo_figures.py {' '.join(sys.argv[1:])}",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}",
        "",
    ]
    text = "\n".join([*head, *lines]) + "\n"
    Path(__file__).with_name(f"ppo_{name}.txt").write_text(text)
    print(text, end="")


def fresh_trials(config: dict[str, Any], count: int) -> list[Any]:
    """Trials of a configuration under the options of the study, but with all the episodes of the published protocol."""
    options = {**load_study(STUDY).worker_options, "max_episodes": 3000}
    fixed = options.pop("fixed")
    return [train_ppo({**fixed, **config}, seed=FRESH_SEED + number, **options) for number in range(count)]


def cycle(arguments: argparse.Namespace) -> bool:
    """The study, and nine fresh trials of what it has found."""
    study = load_study(STUDY).model_copy(update={"seed": arguments.seed})
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with StudyRun(study, (arguments.work or Path(folder)) / "cycle", workers=arguments.workers) as run:
            while not run.wait(1.0):
                pass
        seconds = time.monotonic() - began
        results = run.results()
    best = results.incumbent
    trials = fresh_trials(dict(best.config), 9)
    episodes = [int(trial.loss) for trial in trials]
    solved = sum(trial.is_solved for trial in trials)
    found = results.refit or {}
    minutes, mean = seconds / 60, statistics.mean(episodes)
    lines = [
        f"evaluations: {len(results.trials)}, {arguments.workers} workers, seed {study.seed}",
        f"minutes, final training included: {minutes:.1f} (target: at most {MINUTES})",
        f"{INCUMBENT}{json.dumps(dict(best.config))}",
        f"its loss in the study, {best.budget:g} trials: {best.loss:.1f} episodes",
        f"9 fresh seeds, at most 3000 episodes each: {mean:.1f} episodes on average (target: at most {EPISODES})",
        f"solved: {solved} of 9 (target: 9); episodes of each: {', '.join(map(str, episodes))}",
        f"the saved agent, without randomness, 20 new episodes: mean return {found.get('agent_return', 'none')}",
    ]
    write(f"cycle_{arguments.seed}" if arguments.seed else "cycle", lines)
    return minutes <= MINUTES and mean <= EPISODES and solved == 9


def baselines(arguments: argparse.Namespace) -> bool:
    """Final returns of both, for some seeds."""
    lines = ["environment  steps   agent              mean  deviation  returns of the seeds"]
    reached = True
    for env, task in TASKS.items():
        found: dict[str, list[float]] = {}
        for name, train in (("ppo", ours), ("stable-baselines3", theirs)):
            found[name] = [train(env, seed=seed, **task) for seed in range(arguments.seeds)]
            mean, deviation = statistics.mean(found[name]), statistics.stdev(found[name])
            each = " ".join(f"{value:.0f}" for value in found[name])
            lines.append(f"{env:<11}  {task['steps']:>6}  {name:<17} {mean:>6.1f}  {deviation:>9.1f}  {each}")
        own, other = found["ppo"], found["stable-baselines3"]
        gap = statistics.mean(own) - statistics.mean(other)
        spread = max(statistics.stdev(own), statistics.stdev(other))
        is_within = gap >= -spread
        reached &= is_within
        words = "within" if is_within else "not within"
        lines.append(f"{env}: {gap:+.1f}; {words} the larger deviation, {spread:.1f}, or better")
    write("baselines", [_rival(), *lines])
    return reached


def throughput(arguments: argparse.Namespace) -> bool:
    """Environment steps per second of both, by turns."""
    steps = 8 * ROLLOUT
    lines = ["environment  time  ppo steps/s  stable-baselines3 steps/s  ratio"]
    reached = True
    for env, task in TASKS.items():
        settings = {**task, "steps": steps}
        turns = [
            [_seconds(partial(train, env, seed=turn, **settings)) for train in (ours, theirs)]
            for turn in range(arguments.repeats + 1)
        ]
        # The first turn is for what is loaded at first use.
        pairs = turns[1:]
        for number, kind in enumerate(("CPU", "wall")):
            rates = [statistics.median(steps / pair[who][number] for pair in pairs) for who in (0, 1)]
            ratio = statistics.median(pair[1][number] / pair[0][number] for pair in pairs)
            lines.append(f"{env:<11}  {kind:<4}  {rates[0]:>11.0f}  {rates[1]:>25.0f}  {ratio:>5.2f}")
            reached &= ratio >= 1
    write("throughput", [f"{steps} steps each; {_rival()}", *lines])
    return reached


def _rival() -> str:
    return f"stable-baselines3 {version('stable_baselines3')}; both: {json.dumps(SETTINGS)}"


def _seconds(action: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - cpu, time.perf_counter() - wall


def pictures(arguments: argparse.Namespace) -> bool:
    """Learning curves of two configurations over their trials, with bands."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = Path(__file__).with_name("ppo_cycle.txt").read_text().splitlines()
    (incumbent,) = (json.loads(line.removeprefix(INCUMBENT)) for line in table if line.startswith(INCUMBENT))
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    lines = ["configuration              trials  solved  episodes: mean  smallest  largest"]
    for name, config, colour in (
        ("incumbent", incumbent, "tab:blue"),
        ("default configuration", {}, "tab:orange"),
    ):
        trials = fresh_trials(config, arguments.trials)
        longest = min(max(len(trial.returns) for trial in trials), 1000)
        # A trial that has solved the task stays where it is.
        curves = np.array([_extended(smoothed(trial.returns, 20), longest) for trial in trials])
        episodes = np.arange(1, longest + 1)
        low, middle, high = np.quantile(curves, [0.1, 0.5, 0.9], axis=0)
        axes.plot(episodes, middle, color=colour, label=f"{name}: median of {len(trials)} trials")
        axes.fill_between(episodes, low, high, color=colour, alpha=0.25, linewidth=0, label="10 % to 90 % of them")
        losses = [trial.loss for trial in trials]
        solved = sum(trial.is_solved for trial in trials)
        mean, least, most = statistics.mean(losses), min(losses), max(losses)
        lines.append(f"{name:<26} {len(trials):>6}  {solved:>6}  {mean:>14.1f}  {least:>8.0f}  {most:>7.0f}")
    axes.set(xlabel="episodes", ylabel="mean return of the last 20 episodes", xlim=(0, None), ylim=(0, 210))
    axes.set_title("PPO on CartPole, at most 200 steps: learning curves over trials")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})
    write("pictures", [*lines, f"picture: scripts/{PICTURE.name}"])
    return True


def _extended(curve: Any, length: int) -> Any:
    return np.concatenate([curve[:length], np.full(max(length - len(curve), 0), curve[-1])])


def main() -> int:
    """Make one of the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="NAME")
    for make in (cycle, baselines, throughput, pictures):
        command = commands.add_parser(make.__name__, help=(make.__doc__ or "").rstrip("."))
        command.set_defaults(make=make)
        if make is cycle:
            command.add_argument("--workers", type=int, default=2)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--work", type=Path)
        elif make is baselines:
            command.add_argument("--seeds", type=int, default=5)
        elif make is throughput:
            command.add_argument("--repeats", type=int, default=5)
        else:
            command.add_argument("--trials", type=int, default=9)
    arguments = parser.parse_args()
    return int(not arguments.make(arguments))


if __name__ == "__main__":
    sys.exit(main())
