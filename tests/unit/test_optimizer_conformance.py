"""The built-in samplers keep the contract of all samplers."""

import pytest

from bohb_service.optimizer.methods import METHODS, sampler_of
from bohb_service.optimizer.model_options import ModelOptions
from bohb_service.optimizer.model_sampler import ModelSampler
from bohb_service.testing.sampler_conformance import SamplerConformance, finite_space


@pytest.mark.parametrize("method", METHODS)
class TestMethods(SamplerConformance):
    @pytest.fixture(autouse=True)
    def _choose(self, method):
        self.method = method

    def make(self, space, seed):
        return sampler_of(self.method, space, seed)


class TestModelOnly(SamplerConformance):
    """No draws from the prior as soon as there is a model."""

    def make(self, space, seed):
        return ModelSampler(space, seed, ModelOptions(random_fraction=0, num_samples=16))


class TestStatsmodels(SamplerConformance):
    def make(self, space, seed):
        pytest.importorskip("statsmodels")
        return ModelSampler(space, seed, ModelOptions(density="statsmodels", num_samples=4))


class TestInitial(SamplerConformance):
    def make(self, space, seed):
        initial = [space.default()]
        if space.n_configurations == finite_space().n_configurations:
            initial.append({"kind": "b", "layers": 2})
        return sampler_of("bohb", space, seed, {}, initial)
