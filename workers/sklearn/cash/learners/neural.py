"""The multi-layer perceptron."""

from typing import Any

from bohb_service.workers.sklearn.cash.components import Config, Facts, Iterations, Learner
from bohb_service.workers.sklearn.cash.parameters import Choice, Real, Whole


def _mlp(config: Config, facts: Facts, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    make = MLPClassifier if facts.is_classification else MLPRegressor
    return make(
        hidden_layer_sizes=(config["width"],) * config["hidden_layers"],
        activation=config["activation"],
        alpha=config["alpha"],
        learning_rate_init=config["learning_rate_init"],
        batch_size=min(config["batch_size"], facts.n_rows),
        random_state=seed,
    )


NEURAL = (
    Learner(
        "mlp",
        _mlp,
        (
            Whole("hidden_layers", 1, 3, 1),
            Whole("width", 16, 264, 100, log=True),
            Choice("activation", ("relu", "tanh")),
            Real("alpha", 1e-7, 1e-1, 1e-4, log=True),
            Real("learning_rate_init", 1e-4, 3e-2, 1e-3, log=True),
            Whole("batch_size", 32, 512, 128, log=True),
        ),
        weight=2.0,
        iterations=Iterations(512, None),
    ),
)
