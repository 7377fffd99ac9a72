"""The hyperparameters of a network: their meaning and their defaults; the spaces are made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from bohb_service.errors import SpaceError
from bohb_service.suggestions import did_you_mean
from bohb_service.workers.common.shown import pythonic, shown

from .shapes import SHAPES

NETWORKS = ("mlp", "shaped_mlp", "resnet", "shaped_resnet")
ACTIVATIONS = ("relu", "tanh", "sigmoid")
BRANCHES = ("none", "shake_shake", "shake_drop")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULERS = ("none", "cosine", "decay", "warm_restarts", "exponential", "step", "plateau", "cyclic")
INITIALISERS = ("none", "xavier", "kaiming", "orthogonal", "sparse")
IMPUTERS = ("mean", "median", "most_frequent", "constant_zero")
SCALERS = ("none", "minmax", "standard", "robust", "quantile", "power", "normalizer")
PREPROCESSORS = (
    "none",
    "pca",
    "truncated_svd",
    "kernel_pca",
    "fast_ica",
    "nystroem",
    "kitchen_sinks",
    "polynomial",
    "feature_agglomeration",
    "extra_trees",
    "liblinear",
    "percentile",
    "rates",
    "random_trees",
)
KERNELS = ("rbf", "poly", "sigmoid", "cosine")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """A network, how its inputs are prepared and how it is trained.

    Attributes:
        imputer: What a missing number becomes: ``mean``, ``median``, ``most_frequent`` of its column, or 0.
        scaler: Of the numeric columns, one of `SCALERS`.
        coalescer: ``minority``: rare categories of a column become one; or ``none``.
        coalescer_fraction: Share of the training rows below which a category is rare.
        encoder: ``one_hot``: a column for each category, all 0 for a missing or new one; ``none``: the categories'
            numbers, scaled as the numeric columns are.
        preprocessor: Of the scaled and encoded columns, one of `PREPROCESSORS`; those below are its settings.
        components: Columns that PCA and its like, agglomeration, kernel approximations and trees make at most.
        whiten: Whether PCA and ICA scale their components to deviation 1.
        kernel: Of kernel PCA and Nystroem.
        gamma: Of the kernels, per number of columns: 1 is scikit-learn's default.
        kernel_degree: Of the polynomial kernel.
        kernel_offset: Of the polynomial and the sigmoid kernel.
        ica_function: ``logcosh``, ``exp`` or ``cube``.
        polynomial_degree: 2 or 3.
        interaction_only: Whether products of different columns alone are made.
        agglomeration_linkage: ``ward``, ``complete`` or ``average``.
        agglomeration_pooling: ``mean``, ``median`` or ``max``.
        selection_trees: Number of trees of the two preprocessors with trees.
        selection_depth: Largest depth of the trees of the random trees embedding.
        selection_c: Inverse strength of the L1 penalty of ``liblinear``.
        percentile: Share of the columns that are kept, in percent.
        rates_mode: ``fpr``, ``fdr`` or ``fwe``.
        rates_alpha: The level below which a column is kept.
        embedding: ``learned``: categorical columns become trained vectors; or ``none``. Needs ``encoder: one_hot``.
        embedding_reduction: Length of the vector per number of categories.
        embedding_min_values: Columns with fewer categories stay one-hot.
        network: Backbone: ``shaped_mlp`` or ``shaped_resnet``; ``mlp`` and ``resnet`` have the same width everywhere.
        layers: Layers of a perceptron, groups of blocks of a ResNet.
        units: Of the widest layer; of every layer for ``mlp`` and ``resnet``.
        output_units: Of the last layer of a shaped backbone; a ResNet ends one step before it, the head follows.
        shape: One of `SHAPES`, of units and dropout.
        activation: ``relu``, ``tanh`` or ``sigmoid``.
        batch_norm: Whether layers are normalised by batch.
        use_dropout: Whether units are dropped.
        dropout: Largest rate; the rate of input and layers for ``mlp``, of all blocks for ``resnet``. A shaped backbone
            has none on its last layer, and so none at all if that is its only one.
        blocks_per_group: Of a ResNet, each with two layers.
        skip_connection: Whether blocks of a ResNet add to their input.
        branches: ``none``, ``shake_shake`` (two branches) or ``shake_drop``, of a ResNet with skip connections.
        shake_drop_probability: With which the last block is shaken; for earlier ones it falls linearly.
        head_layers: Of the fully connected head, the output layer included.
        head_units: Of its hidden layers.
        initialiser: Of the weights; ``none`` is PyTorch's own.
        bias: ``zero`` or ``normal`` (deviation 0.01); left alone with ``initialiser: none``.
        optimizer: ``sgd``, ``adam``, ``adamw`` or ``rmsprop``.
        learning_rate: The largest of the training.
        weight_decay: Of all weights and biases; decoupled for ``adamw``, else an L2 penalty.
        momentum: Of ``sgd`` and ``rmsprop``, in [0, 1).
        beta1: Of ``adam`` and ``adamw``.
        beta2: Of ``adam`` and ``adamw``.
        rmsprop_alpha: Smoothing of ``rmsprop``.
        scheduler: Of the learning rate, one of `SCHEDULERS`; cosine and decay span the horizon.
        final_lr_fraction: ``decay``: last learning rate per first one.
        restart_period: ``warm_restarts``: epochs to the first restart.
        restart_factor: ``warm_restarts``: each period per the one before.
        gamma_per_epoch: ``exponential``: factor of each epoch.
        step_size: ``step``: epochs between two steps.
        step_gamma: ``step``: factor of each step.
        plateau_patience: ``plateau``: epochs without a smaller training loss that are borne.
        plateau_factor: ``plateau``: factor after that.
        cyclic_period: ``cyclic``: epochs of a rise and fall.
        cyclic_base: ``cyclic``: smallest learning rate per largest.
        batch_size: Rows of a step.
        trainer: ``standard`` or ``mixup``.
        mixup_alpha: Of the Beta distribution of the share.
        weighted_loss: Whether each class weighs the same in a classification's loss.
    """

    imputer: str = "mean"
    scaler: str = "standard"
    coalescer: str = "none"
    coalescer_fraction: float = 0.01
    encoder: str = "one_hot"
    preprocessor: str = "none"
    components: int = 64
    whiten: bool = False
    kernel: str = "rbf"
    gamma: float = 1.0
    kernel_degree: int = 3
    kernel_offset: float = 0.0
    ica_function: str = "logcosh"
    polynomial_degree: int = 2
    interaction_only: bool = False
    agglomeration_linkage: str = "ward"
    agglomeration_pooling: str = "mean"
    selection_trees: int = 30
    selection_depth: int = 4
    selection_c: float = 1.0
    percentile: float = 50.0
    rates_mode: str = "fpr"
    rates_alpha: float = 0.1
    embedding: str = "none"
    embedding_reduction: float = 0.5
    embedding_min_values: int = 5
    network: str = "shaped_mlp"
    layers: int = 5
    units: int = 200
    output_units: int = 200
    shape: str = "funnel"
    activation: str = "relu"
    batch_norm: bool = False
    use_dropout: bool = False
    dropout: float = 0.5
    blocks_per_group: int = 2
    skip_connection: bool = True
    branches: str = "none"
    shake_drop_probability: float = 0.5
    head_layers: int = 2
    head_units: int = 128
    initialiser: str = "none"
    bias: str = "zero"
    optimizer: str = "adam"
    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    rmsprop_alpha: float = 0.99
    scheduler: str = "cosine"
    final_lr_fraction: float = 0.01
    restart_period: int = 5
    restart_factor: float = 1.5
    gamma_per_epoch: float = 0.95
    step_size: int = 5
    step_gamma: float = 0.5
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    cyclic_period: int = 8
    cyclic_base: float = 0.1
    batch_size: int = 64
    trainer: str = "standard"
    mixup_alpha: float = 0.2
    weighted_loss: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any], base: Mapping[str, Any]) -> "Hyperparameters":
        """The hyperparameters of a configuration.

        Args:
            config: Values of the active hyperparameters, of a built-in space or of one in the study file.
            base: What a space fixes; all else that the configuration leaves out keeps its default.

        Raises:
            SpaceError: A name is unknown, or a value impossible.
        """
        known = {field.name: field.type for field in fields(cls)}
        for name in config:
            if name not in known:
                hint = did_you_mean(name, known) or f"choose from: {', '.join(known)}"
                raise SpaceError(f"hyperparameter {name!r} is unknown to autonet; {hint}")
        values = pythonic({**base, **config})
        for name, value in values.items():
            _check(name, value, known[name])
        return cls(**values)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "imputer": IMPUTERS,
    "scaler": SCALERS,
    "coalescer": ("none", "minority"),
    "encoder": ("one_hot", "none"),
    "preprocessor": PREPROCESSORS,
    "kernel": KERNELS,
    "ica_function": ("logcosh", "exp", "cube"),
    "agglomeration_linkage": ("ward", "complete", "average"),
    "agglomeration_pooling": ("mean", "median", "max"),
    "rates_mode": ("fpr", "fdr", "fwe"),
    "embedding": ("none", "learned"),
    "network": NETWORKS,
    "shape": tuple(SHAPES),
    "activation": ACTIVATIONS,
    "branches": BRANCHES,
    "initialiser": INITIALISERS,
    "bias": ("zero", "normal"),
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "trainer": ("standard", "mixup"),
}

_FROM_ZERO = ("kernel_offset", "weight_decay", "mixup_alpha")
_SHARES = (
    "coalescer_fraction",
    "embedding_reduction",
    "dropout",
    "shake_drop_probability",
    "momentum",
    "beta1",
    "beta2",
    "rmsprop_alpha",
    "final_lr_fraction",
    "gamma_per_epoch",
    "step_gamma",
    "plateau_factor",
    "cyclic_base",
    "rates_alpha",
)
_MAY_BE_ONE = ("dropout", "embedding_reduction", "shake_drop_probability", "final_lr_fraction", "gamma_per_epoch")


def _check(name: str, value: Any, kind: Any) -> None:
    """Raise unless the value is of the hyperparameter's type and range."""
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            hint = did_you_mean(value, _CHOICES[name])
            advice = f"{hint} choose from: {', '.join(_CHOICES[name])}".lstrip()
            raise SpaceError(f"hyperparameter {name!r}: {shown(value)} is none of its values; {advice}")
        return
    if kind is bool:
        if not isinstance(value, bool):
            raise SpaceError(f"hyperparameter {name!r} must be true or false, not {shown(value)}")
        return
    is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if name in _SHARES:
        fits = (is_number and 0 <= value < 1) or (value == 1 and name in _MAY_BE_ONE)
        span = "from 0 to 1" if name in _MAY_BE_ONE else "from 0 to below 1"
    elif kind is int:
        fits, span = is_number and value >= 1, "of at least 1"
    elif name in _FROM_ZERO:
        fits, span = is_number and 0 <= value < float("inf"), "of at least 0"
    else:
        fits, span = is_number and 0 < value < float("inf"), "above 0"
    if not fits:
        what = "a whole number" if kind is int else "a number"
        raise SpaceError(f"hyperparameter {name!r} must be {what} {span}, not {shown(value)}")
