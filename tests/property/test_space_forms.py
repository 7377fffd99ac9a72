"""Whatever stands in a study file: a space, or an error that names the place; never anything else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bohb_service.errors import SpaceError
from bohb_service.space import SearchSpace, read_space
from tests.strategies import configuration_spaces

words = st.sampled_from(
    ["x", "y", "float", "int", "categorical", "ordinal", "constant", "normal", "beta", "gt", "lt", "ne", "adam", "1e-3"]
)
numbers = st.integers(-3, 9) | st.integers() | st.floats() | st.sampled_from([0.5, 1e-13, 1e300, 2**63])
scalars = st.none() | st.booleans() | numbers | words
lists = st.lists(scalars, max_size=4)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=8
)
ranges = st.fixed_dictionaries(
    {"type": st.sampled_from(["float", "int"]), "low": numbers, "high": numbers},
    optional={
        "log": st.booleans(),
        "default": numbers,
        "prior": st.dictionaries(
            st.sampled_from(["normal", "beta"]), st.lists(numbers, min_size=2, max_size=2), max_size=1
        ),
        "when": st.dictionaries(st.sampled_from(["x", "y"]), anything, max_size=2),
    },
)
choices = st.fixed_dictionaries(
    {"type": st.just("categorical"), "choices": lists},
    optional={"weights": lists, "default": scalars, "when": st.dictionaries(st.sampled_from(["x", "y"]), anything)},
)
entries = ranges | choices | lists | anything
forms = st.dictionaries(st.sampled_from(["x", "y", "z"]), entries, max_size=3)


@given(forms, st.none() | st.lists(st.dictionaries(st.sampled_from(["x", "y", "z"]), anything, max_size=2), max_size=2))
def test_the_short_form(form, forbidden):
    if forbidden is not None:
        form = {**form, "forbidden": forbidden}
    try:
        space = read_space(form)
    except SpaceError as error:
        message = str(error)
    else:
        space.check(space.default())
        assert SearchSpace.from_json(space.to_json()).default() == space.default()
        return
    assert message.startswith("space")
    assert "\n" not in message
    assert len(message) < 1500


@given(st.data(), configuration_spaces(max_size=3))
def test_a_damaged_serialised_form(data, configuration_space):
    form = json.loads(SearchSpace(configuration_space).to_json())
    items = [item for part in ("hyperparameters", "conditions", "forbiddens") for item in form[part]]
    item = data.draw(st.sampled_from(items))
    key = data.draw(st.sampled_from(sorted(item)))
    if data.draw(st.booleans()):
        item[key] = data.draw(anything)
    else:
        del item[key]
    try:
        space = read_space(form)
    except SpaceError as error:
        message = str(error)
    else:
        space.default()
        return
    assert message.startswith("space")
    assert "\n" not in message
