import math

import pytest

from bohb_service.workers.autonet.hyperparameters import SCHEDULERS, Hyperparameters
from bohb_service.workers.autonet.schedules import Schedule

EPOCHS, STEPS, RATE = 24, 7, 0.05


def trace(name, horizon=EPOCHS, losses=None, **values):
    """The learning rate at each step, and the time of the step in epochs."""
    schedule = Schedule(Hyperparameters(scheduler=name, learning_rate=RATE, **values), horizon)
    rates = []
    for epoch in range(EPOCHS):
        rates += [schedule.rate(epoch, step, STEPS) for step in range(STEPS)]
        schedule.end_epoch(losses[epoch] if losses else 1.0)
    return rates


def expected(function):
    return [RATE * function(number // STEPS, number / STEPS) for number in range(EPOCHS * STEPS)]


def warm(time):
    """Periods of 3, 4.5, 6.75, ... epochs, whose ends are 3, 7.5, 14.25, 24.375."""
    ends = [0.0, 3.0, 7.5, 14.25, 24.375]
    index = max(i for i, end in enumerate(ends) if end <= time)
    share = (time - ends[index]) / (ends[index + 1] - ends[index])
    return (1 + math.cos(math.pi * share)) / 2


CLOSED_FORMS = {
    "none": ({}, lambda epoch, time: 1.0),
    "cosine": ({}, lambda epoch, time: (1 + math.cos(math.pi * time / EPOCHS)) / 2),
    "decay": ({"final_lr_fraction": 0.01}, lambda epoch, time: math.exp(math.log(0.01) * time / EPOCHS)),
    "warm_restarts": ({"restart_period": 3, "restart_factor": 1.5}, lambda epoch, time: warm(time)),
    "exponential": ({"gamma_per_epoch": 0.8}, lambda epoch, time: 0.8**epoch),
    "step": ({"step_size": 4, "step_gamma": 0.3}, lambda epoch, time: 0.3 ** math.floor(epoch / 4)),
    "cyclic": (
        {"cyclic_period": 6, "cyclic_base": 0.1},
        lambda epoch, time: 0.1 + 0.9 * (time % 6 / 3 if time % 6 < 3 else 2 - time % 6 / 3),
    ),
}


def test_every_schedule_is_tested_here():
    assert {*CLOSED_FORMS, "plateau"} == set(SCHEDULERS)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_learning_rate_follows_the_closed_form_at_every_step(name):
    values, function = CLOSED_FORMS[name]
    assert trace(name, **values) == pytest.approx(expected(function), rel=1e-12)


@pytest.mark.parametrize("name", ["cosine", "decay"])
def test_the_horizon_and_not_the_budget_is_what_a_schedule_spans(name):
    long, short = trace(name, horizon=48), trace(name, horizon=24)
    assert long[STEPS * 12] == pytest.approx(short[STEPS * 6])
    assert long[-1] > short[-1]


def test_a_plateau_without_improvement_reduces_the_rate_each_time_patience_is_over():
    by_epoch = trace("plateau", plateau_patience=5, plateau_factor=0.5)[::STEPS]
    # The first epoch is the best one, and six without a smaller loss are one too many.
    assert by_epoch == [RATE] * 7 + [RATE / 2] * 6 + [RATE / 4] * 6 + [RATE / 8] * 5


def test_a_plateau_is_told_of_training_losses_and_begins_anew_after_an_improvement():
    losses = [1.0, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99, 0.89] + [1.0] * 16
    rates = trace("plateau", losses=losses, plateau_patience=5, plateau_factor=0.1)
    by_epoch = rates[::STEPS]
    assert by_epoch[:14] == [RATE] * 14
    assert by_epoch[14] == pytest.approx(RATE * 0.1)
    assert by_epoch[20] == pytest.approx(RATE * 0.01)
