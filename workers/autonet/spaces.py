"""The three search spaces."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import hyperparameters as known
from .shapes import SHAPES

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

SPACES = ("small", "medium", "full")

BASES: Mapping[str, Mapping[str, Any]] = {
    "small": {
        "network": "mlp",
        "units": 128,
        "layers": 2,
        "use_dropout": True,
        "dropout": 0.1,
        "head_layers": 1,
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "scheduler": "decay",
    },
    "medium": {
        "head_layers": 1,
        "output_units": 64,
        "units": 128,
        "layers": 3,
        "learning_rate": 1e-3,
        "weight_decay": 1e-6,
        "momentum": 0.9,
    },
    "full": {"weight_decay": 1e-6},
}
"""What each space fixes, or takes for its default; all else has the defaults of `Hyperparameters`."""


def build_space(name: str, kind: str | None = None) -> "ConfigurationSpace":
    """One of the spaces.

    ``small`` are the six hyperparameters of the BOHB paper (Falkner, Klein, Hutter 2018): perceptrons of constant
    width, Adam, learning rates that decay exponentially. ``medium`` is that of Auto-PyTorch's experiments (Zimmer,
    Lindauer, Hutter 2021) with a choice of scaler, ``full`` has all of `Hyperparameters`.

    Args:
        name: One of `SPACES`.
        kind: ``regression`` leaves out what only classifications have; None is as ``classification``.
    """
    return {"small": _small, "medium": _medium, "full": _full}[name](_Builder(name), kind != "regression")


class _Builder:
    """Adds hyperparameters, with defaults from one place, and conditions."""

    def __init__(self, name: str) -> None:
        from ConfigSpace import ConfigurationSpace

        self.space = ConfigurationSpace(name=f"autonet-{name}")
        self._default = known.Hyperparameters.from_config({}, BASES[name])

    def add(self, name: str, values: Any, *, log: bool = False, when: Any = None) -> Any:
        """Add a hyperparameter.

        Args:
            name: Of `Hyperparameters`.
            values: Choices as a list, or bounds as a pair of ints or floats.
            log: Whether it is searched on a logarithmic scale.
            when: The condition under which it is active: (parent, values) or a list of such pairs, all of which hold.
        """
        from ConfigSpace import AndConjunction, Categorical, EqualsCondition, Float, InCondition, Integer

        default = getattr(self._default, name)
        made: Any
        if isinstance(values, list):
            made = Categorical(name, values, default=default)
        else:
            bounded = min(max(default, values[0]), values[1])
            kind = Integer if isinstance(values[0], int) else Float
            made = kind(name, values, default=bounded, log=log)
        self.space.add(made)
        conditions = [
            InCondition(made, parent, allowed) if isinstance(allowed, list) else EqualsCondition(made, parent, allowed)
            for parent, allowed in (when if isinstance(when, list) else [when] if when else [])
        ]
        if conditions:
            self.space.add(conditions[0] if len(conditions) == 1 else AndConjunction(*conditions))
        return made


def _small(make: _Builder, _: bool) -> "ConfigurationSpace":  # noqa: FBT001 (the builders' common form)
    make.add("learning_rate", (1e-6, 1e-2), log=True)
    make.add("batch_size", (8, 256), log=True)
    make.add("units", (16, 256), log=True)
    make.add("final_lr_fraction", (1e-4, 1.0), log=True)
    make.add("layers", (1, 5))
    make.add("dropout", (0.0, 0.5))
    return make.space


def _medium(make: _Builder, is_classification: bool) -> "ConfigurationSpace":  # noqa: FBT001
    make.add("batch_size", (16, 512), log=True)
    make.add("scaler", ["standard", "quantile"])
    preprocessor = make.add("preprocessor", ["none", "truncated_svd"])
    make.add("components", (10, 256), log=True, when=(preprocessor, "truncated_svd"))
    embedding = make.add("embedding", ["none", "learned"])
    make.add("embedding_reduction", (0.0, 1.0), when=(embedding, "learned"))
    network = make.add("network", ["shaped_mlp", "shaped_resnet"])
    make.add("layers", (1, 6))
    make.add("units", (32, 512), log=True)
    make.add("batch_norm", [False, True])
    dropout = make.add("use_dropout", [False, True])
    make.add("dropout", (0.0, 0.8), when=(dropout, True))
    make.add("blocks_per_group", (1, 3), when=(network, "shaped_resnet"))
    optimizer = make.add("optimizer", ["adam", "sgd"])
    make.add("learning_rate", (1e-4, 1e-1), log=True)
    make.add("weight_decay", (1e-6, 1e-1), log=True)
    make.add("momentum", (0.1, 0.99), when=(optimizer, "sgd"))
    trainer = make.add("trainer", ["standard", "mixup"])
    make.add("mixup_alpha", (0.0, 1.0), when=(trainer, "mixup"))
    if is_classification:
        make.add("weighted_loss", [False, True])
    return make.space


def _full(make: _Builder, is_classification: bool) -> "ConfigurationSpace":  # noqa: FBT001
    _inputs(make)
    _network(make)
    _training(make)
    trainer = make.add("trainer", ["standard", "mixup"])
    make.add("mixup_alpha", (0.0, 1.0), when=(trainer, "mixup"))
    if is_classification:
        make.add("weighted_loss", [False, True])
    return make.space


def _inputs(make: _Builder) -> None:
    make.add("imputer", list(known.IMPUTERS))
    make.add("scaler", list(known.SCALERS))
    coalescer = make.add("coalescer", ["none", "minority"])
    make.add("coalescer_fraction", (1e-4, 0.5), log=True, when=(coalescer, "minority"))
    encoder = make.add("encoder", ["one_hot", "none"])
    embedding = make.add("embedding", ["none", "learned"], when=(encoder, "one_hot"))
    make.add("embedding_reduction", (0.0, 1.0), when=(embedding, "learned"))
    make.add("embedding_min_values", (3, 7), log=True, when=(embedding, "learned"))
    chosen = make.add("preprocessor", list(known.PREPROCESSORS))
    making = ["pca", "truncated_svd", "kernel_pca", "fast_ica", "nystroem", "kitchen_sinks", "feature_agglomeration"]
    make.add("components", (10, 256), log=True, when=(chosen, [*making, "random_trees"]))
    make.add("whiten", [False, True], when=(chosen, ["pca", "fast_ica"]))
    with_kernel = ["kernel_pca", "nystroem"]
    kernel = make.add("kernel", list(known.KERNELS), when=(chosen, with_kernel))
    make.add("gamma", (1e-3, 10.0), log=True, when=(chosen, [*with_kernel, "kitchen_sinks"]))
    make.add("kernel_degree", (2, 5), when=[(chosen, with_kernel), (kernel, "poly")])
    make.add("kernel_offset", (0.0, 1.0), when=[(chosen, with_kernel), (kernel, ["poly", "sigmoid"])])
    make.add("ica_function", ["logcosh", "exp", "cube"], when=(chosen, "fast_ica"))
    make.add("polynomial_degree", (2, 3), when=(chosen, "polynomial"))
    make.add("interaction_only", [False, True], when=(chosen, "polynomial"))
    make.add("agglomeration_linkage", ["ward", "complete", "average"], when=(chosen, "feature_agglomeration"))
    make.add("agglomeration_pooling", ["mean", "median", "max"], when=(chosen, "feature_agglomeration"))
    make.add("selection_trees", (10, 100), when=(chosen, ["extra_trees", "random_trees"]))
    make.add("selection_depth", (2, 10), when=(chosen, "random_trees"))
    make.add("selection_c", (1e-2, 1e2), log=True, when=(chosen, "liblinear"))
    make.add("percentile", (1.0, 99.0), when=(chosen, "percentile"))
    make.add("rates_mode", ["fpr", "fdr", "fwe"], when=(chosen, "rates"))
    make.add("rates_alpha", (0.01, 0.5), when=(chosen, "rates"))


def _network(make: _Builder) -> None:
    network = make.add("network", list(known.NETWORKS))
    residual = ["resnet", "shaped_resnet"]
    make.add("layers", (1, 15))
    make.add("units", (10, 1024), log=True)
    make.add("output_units", (10, 1024), log=True, when=(network, ["shaped_mlp", "shaped_resnet"]))
    make.add("shape", list(SHAPES), when=(network, ["shaped_mlp", "shaped_resnet"]))
    make.add("activation", list(known.ACTIVATIONS))
    make.add("batch_norm", [False, True])
    use_dropout = make.add("use_dropout", [False, True])
    make.add("dropout", (0.0, 0.8), when=(use_dropout, True))
    make.add("blocks_per_group", (1, 4), when=(network, residual))
    skip = make.add("skip_connection", [True, False], when=(network, residual))
    branches = make.add("branches", list(known.BRANCHES), when=(skip, True))
    make.add("shake_drop_probability", (0.0, 1.0), when=(branches, "shake_drop"))
    head = make.add("head_layers", (1, 4))
    make.add("head_units", (64, 512), log=True, when=(head, [2, 3, 4]))
    initialiser = make.add("initialiser", list(known.INITIALISERS))
    make.add("bias", ["zero", "normal"], when=(initialiser, [name for name in known.INITIALISERS if name != "none"]))


def _training(make: _Builder) -> None:
    make.add("batch_size", (32, 320), log=True)
    optimizer = make.add("optimizer", list(known.OPTIMIZERS))
    make.add("learning_rate", (1e-5, 1e-1), log=True)
    make.add("weight_decay", (1e-6, 1e-1), log=True)
    make.add("momentum", (0.0, 0.99), when=(optimizer, ["sgd", "rmsprop"]))
    make.add("beta1", (0.85, 0.999), when=(optimizer, ["adam", "adamw"]))
    make.add("beta2", (0.9, 0.9999), when=(optimizer, ["adam", "adamw"]))
    make.add("rmsprop_alpha", (0.1, 0.99), when=(optimizer, "rmsprop"))
    scheduler = make.add("scheduler", list(known.SCHEDULERS))
    make.add("final_lr_fraction", (1e-4, 1.0), log=True, when=(scheduler, "decay"))
    make.add("restart_period", (1, 20), when=(scheduler, "warm_restarts"))
    make.add("restart_factor", (1.0, 2.0), when=(scheduler, "warm_restarts"))
    make.add("gamma_per_epoch", (0.7, 0.9999), when=(scheduler, "exponential"))
    make.add("step_size", (1, 10), when=(scheduler, "step"))
    make.add("step_gamma", (1e-3, 0.9), when=(scheduler, "step"))
    make.add("plateau_patience", (5, 20), when=(scheduler, "plateau"))
    make.add("plateau_factor", (0.01, 0.9), when=(scheduler, "plateau"))
    make.add("cyclic_period", (2, 20), when=(scheduler, "cyclic"))
    make.add("cyclic_base", (1e-3, 0.9), log=True, when=(scheduler, "cyclic"))
