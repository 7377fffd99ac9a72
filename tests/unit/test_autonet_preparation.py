import numpy as np
import pytest

from bohb_service.workers.autonet.categories import embedding_width
from bohb_service.workers.autonet.hyperparameters import IMPUTERS, KERNELS, PREPROCESSORS, SCALERS, Hyperparameters
from bohb_service.workers.autonet.preparation import fit_preparation
from bohb_service.workers.tabular.rows import Rows

RNG = np.random.default_rng(11)
NAN = np.nan


def fitted(features, n_levels, *, target=None, is_classification=True, **values):
    features = np.asarray(features, dtype=float)
    labels = np.arange(len(features)) % 2 if target is None else target
    parameters = Hyperparameters(**{"scaler": "none", **values})
    return fit_preparation(parameters, Rows(features, labels), n_levels, 3, is_classification=is_classification)


def mixed_rows(count=60):
    """Four numeric columns with gaps and one constant, and categorical ones with 6 and 2 categories and gaps."""
    features = np.column_stack(
        [
            RNG.normal(size=(count, 3)) * [1, 100, 0.01] + [0, 5, -3],
            np.full(count, 7.0),
            np.arange(count) % 6,
            np.arange(count) % 2,
        ]
    )
    features[::7, 1] = NAN
    features[::9, 4] = NAN
    return features


LEVELS = (None, None, None, None, 6, 2)


@pytest.mark.parametrize(
    ("reduction", "categories", "width"),
    [(0.5, 5, 2), (0.5, 2, 1), (0.0, 9, 1), (1.0, 9, 8), (0.99, 100, 99), (0.34, 3, 1), (0.8, 3, 2), (1.0, 2, 1)],
)
def test_width_of_an_embedding(reduction, categories, width):
    assert embedding_width(reduction, categories) == width


def test_one_hot_columns_are_zero_for_missing_and_new_categories():
    made = fitted([[0.0], [1.0], [2.0], [NAN]], (3,))
    inputs = made.transform(np.array([[2.0], [0.0], [NAN]]))
    assert inputs.dense.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert inputs.codes.shape == (3, 0)


def test_columns_with_enough_categories_are_embedded_and_the_others_one_hot():
    features = mixed_rows()
    made = fitted(features, LEVELS, embedding="learned", embedding_reduction=0.5, embedding_min_values=5)
    assert [(column.index, column.n_codes, column.width) for column in made.embedded] == [(4, 6, 3)]
    inputs = made.transform(features)
    assert inputs.dense.shape == (60, 4 + 2)
    assert inputs.codes[:, 0].tolist() == [6 if i % 9 == 0 else i % 6 for i in range(60)]
    assert fitted(features, LEVELS, embedding="learned", embedding_min_values=7).embedded == ()
    assert fitted(features, LEVELS, embedding="none").embedded == ()


def test_without_an_encoder_categories_are_numbers():
    made = fitted(mixed_rows(), LEVELS, encoder="none", embedding="learned")
    assert made.embedded == ()
    assert made.n_dense == 6


def test_rare_categories_become_one():
    codes = [0] * 50 + [1] * 45 + [2] * 3 + [3] * 2
    features = np.array(codes, dtype=float)[:, None]
    made = fitted(features, (4,), coalescer="minority", coalescer_fraction=0.1)
    assert made.n_dense == 3
    assert made.transform(np.array([[0.0], [1.0], [2.0], [3.0]])).dense.argmax(axis=1).tolist() == [0, 1, 2, 2]
    assert fitted(features, (4,), coalescer="minority", coalescer_fraction=0.025).n_dense == 4
    assert fitted(features, (4,)).n_dense == 4


@pytest.mark.parametrize(
    ("imputer", "value"), [("mean", 3.0), ("median", 2.0), ("most_frequent", 1.0), ("constant_zero", 0.0)]
)
def test_imputers(imputer, value):
    made = fitted([[1.0], [1.0], [2.0], [5.0], [6.0], [NAN]], (None,), imputer=imputer)
    assert made.transform(np.array([[NAN], [4.0]])).dense.ravel().tolist() == [value, 4.0]
    assert len(IMPUTERS) == 4


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_a_column_without_any_value_becomes_zero(imputer):
    assert fitted([[NAN], [NAN]], (None,), imputer=imputer).transform(np.array([[NAN]])).dense.tolist() == [[0.0]]


def test_scalers():
    features = np.column_stack([RNG.exponential(size=200), RNG.normal(size=200)])
    scaled = {name: fitted(features, (None, None), scaler=name).transform(features).dense for name in SCALERS}
    assert np.allclose(scaled["none"], features)
    assert np.allclose([scaled["minmax"].min(axis=0), scaled["minmax"].max(axis=0)], [[0, 0], [1, 1]], atol=1e-6)
    assert np.allclose([scaled["standard"].mean(axis=0), scaled["standard"].std(axis=0)], [[0, 0], [1, 1]], atol=1e-5)
    assert np.allclose(np.median(scaled["robust"], axis=0), 0, atol=1e-6)
    assert np.allclose(np.linalg.norm(scaled["normalizer"], axis=1), 1, atol=1e-5)
    third = {
        name: abs(float(((v[:, 0] - v[:, 0].mean()) ** 3).mean()) / v[:, 0].std() ** 3) for name, v in scaled.items()
    }
    assert third["power"] < 0.3 < third["standard"]
    assert third["quantile"] < 0.3


def test_only_training_rows_are_looked_at():
    features = mixed_rows()
    for name in ("standard", "quantile", "power"):
        made = fitted(features, LEVELS, scaler=name, preprocessor="pca", components=3)
        alone = made.transform(features[:1]).dense
        beside = made.transform(np.vstack([features[:1], features[1:] * ([1e5] * 4 + [1, 1])])).dense[:1]
        assert np.allclose(alone, beside, atol=1e-6)


@pytest.mark.parametrize("name", PREPROCESSORS)
@pytest.mark.parametrize("is_classification", [True, False])
@pytest.mark.parametrize("scaler", ["standard", "minmax"])
def test_every_preprocessor_makes_finite_columns(name, is_classification, scaler):
    features = mixed_rows()
    target = np.arange(60) % 3 if is_classification else features[:, 0] * 2.0
    made = fitted(
        features,
        LEVELS,
        target=target,
        is_classification=is_classification,
        preprocessor=name,
        scaler=scaler,
        components=5,
    )
    dense = made.transform(features).dense
    assert dense.shape == (60, made.n_dense)
    assert np.isfinite(dense).all()
    assert dense.std() > 0
    assert ("preprocessor" in made.steps) == (name != "none")


def test_preprocessors_use_their_number_of_components():
    features = RNG.normal(size=(80, 20))
    for name in (
        "pca",
        "truncated_svd",
        "kernel_pca",
        "fast_ica",
        "nystroem",
        "kitchen_sinks",
        "feature_agglomeration",
    ):
        assert fitted(features, (None,) * 20, preprocessor=name, components=7).n_dense == 7


def test_settings_of_preprocessors_count():
    features = RNG.normal(size=(80, 6))
    target = (features[:, 2] > 0).astype(int)

    def columns(**values):
        return fitted(features, (None,) * 6, target=target, **values).transform(features).dense

    assert columns(preprocessor="polynomial", polynomial_degree=2).shape[1] == 27
    assert columns(preprocessor="polynomial", polynomial_degree=3).shape[1] == 83
    assert columns(preprocessor="polynomial", interaction_only=True).shape[1] == 21
    assert columns(preprocessor="percentile", percentile=34.0).shape[1] == 2
    assert np.allclose(columns(preprocessor="percentile", percentile=1.0), features[:, [2]], atol=1e-6)
    assert columns(preprocessor="rates", rates_mode="fwe", rates_alpha=0.01).shape[1] < 6
    assert columns(preprocessor="liblinear", selection_c=0.05).shape[1] < 6
    whitened = columns(preprocessor="pca", whiten=True, components=3)
    assert np.allclose(whitened.std(axis=0), 1, atol=0.02)
    kernels = [columns(preprocessor="nystroem", kernel=kernel, components=4) for kernel in KERNELS]
    assert len({round(float(np.abs(made).sum()), 4) for made in kernels}) == len(KERNELS)


def test_products_of_many_columns_stay_few():
    features = RNG.normal(size=(30, 120))
    for degree in (2, 3):
        made = fitted(features, (None,) * 120, preprocessor="polynomial", polynomial_degree=degree)
        assert 120 < made.n_dense <= 620


@pytest.mark.parametrize("name", PREPROCESSORS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 2), (2, 40)])
def test_tiny_tables_are_no_obstacle(name, shape):
    features = RNG.normal(size=shape)
    for is_classification in (True, False):
        target = np.arange(len(features)) if is_classification else RNG.normal(size=len(features))
        made = fitted(
            features, (None,) * shape[1], target=target, is_classification=is_classification, preprocessor=name
        )
        dense = made.transform(features).dense
        assert dense.shape == (shape[0], made.n_dense)
        assert made.n_dense >= 1
        assert np.isfinite(dense).all()


@pytest.mark.parametrize("name", PREPROCESSORS)
def test_constant_tables_are_no_obstacle(name):
    made = fitted(np.ones((20, 3)), (None, None, None), preprocessor=name, scaler="standard")
    assert np.isfinite(made.transform(np.ones((2, 3))).dense).all()


def test_no_rows_to_transform():
    made = fitted(mixed_rows(), LEVELS, embedding="learned", preprocessor="pca", scaler="standard")
    inputs = made.transform(np.zeros((0, 6)))
    assert inputs.dense.shape == (0, made.n_dense)
    assert inputs.codes.shape == (0, 1)


def test_a_table_of_embedded_columns_alone():
    made = fitted((np.arange(40) % 8.0)[:, None], (8,), embedding="learned", embedding_min_values=3, preprocessor="pca")
    assert made.n_dense == 0
    assert made.transform(np.array([[3.0]])).codes.tolist() == [[3]]


def test_huge_values_are_cut():
    made = fitted([[1.0], [2.0]], (None,))
    assert made.transform(np.array([[1e300], [-1e300]])).dense.ravel().tolist() == [1e6, -1e6]
