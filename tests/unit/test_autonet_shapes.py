import pytest

from bohb_service.workers.autonet.shapes import SHAPES, layer_dropout, layer_units

# Shape, input, last layer, most units, layers: the units of each layer.
TABLE = [
    ("funnel", 16, 26, 200, 1, [26]),
    ("funnel", 16, 26, 200, 2, [200, 26]),
    ("funnel", 16, 26, 200, 4, [200, 142, 84, 26]),
    ("funnel", 16, 26, 201, 5, [201, 158, 115, 72, 26]),
    ("funnel", 54, 10, 100, 7, [100, 85, 70, 55, 40, 25, 10]),
    ("funnel", 300, 20, 128, 6, [300, 244, 188, 132, 76, 20]),
    ("funnel", 16, 200, 64, 4, [64, 64, 64, 200]),
    ("funnel", 9, 7, 1000, 15, [1000, 930, 860, 790, 720, 650, 580, 510, 440, 370, 300, 230, 160, 90, 7]),
    ("long_funnel", 16, 26, 200, 1, [26]),
    ("long_funnel", 16, 26, 200, 2, [200, 26]),
    ("long_funnel", 16, 26, 200, 4, [200, 200, 200, 26]),
    ("long_funnel", 16, 26, 201, 5, [201, 201, 201, 114, 26]),
    ("long_funnel", 54, 10, 100, 7, [100, 100, 100, 100, 70, 40, 10]),
    ("long_funnel", 300, 20, 128, 6, [300, 300, 300, 300, 160, 20]),
    ("long_funnel", 16, 200, 64, 4, [64, 64, 64, 200]),
    ("long_funnel", 9, 7, 1000, 15, [1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 859, 718, 577, 436, 295, 154, 7]),
    ("diamond", 16, 26, 200, 1, [26]),
    ("diamond", 16, 26, 200, 2, [200, 26]),
    ("diamond", 16, 26, 200, 4, [108, 200, 113, 26]),
    ("diamond", 16, 26, 201, 5, [108, 201, 143, 85, 26]),
    ("diamond", 54, 10, 100, 7, [69, 84, 100, 78, 56, 34, 10]),
    ("diamond", 300, 20, 128, 6, [300, 300, 300, 207, 114, 20]),
    ("diamond", 16, 200, 64, 4, [40, 64, 64, 200]),
    ("diamond", 9, 7, 1000, 15, [150, 291, 432, 573, 714, 855, 1000, 876, 752, 628, 504, 380, 256, 132, 7]),
    ("hexagon", 16, 26, 200, 1, [26]),
    ("hexagon", 16, 26, 200, 2, [200, 26]),
    ("hexagon", 16, 26, 200, 4, [200, 200, 200, 26]),
    ("hexagon", 16, 26, 201, 5, [201, 201, 201, 201, 26]),
    ("hexagon", 54, 10, 100, 7, [77, 100, 100, 100, 100, 55, 10]),
    ("hexagon", 300, 20, 128, 6, [300, 300, 300, 300, 160, 20]),
    ("hexagon", 16, 200, 64, 4, [64, 64, 64, 200]),
    ("hexagon", 9, 7, 1000, 15, [207, 405, 603, 801, 1000, 1000, 1000, 1000, 1000, 1000, 802, 604, 406, 208, 7]),
    ("brick", 16, 26, 200, 1, [26]),
    ("brick", 16, 26, 200, 2, [200, 26]),
    ("brick", 16, 26, 200, 4, [200, 200, 200, 26]),
    ("brick", 16, 26, 201, 5, [201, 201, 201, 201, 26]),
    ("brick", 54, 10, 100, 7, [100, 100, 100, 100, 100, 100, 10]),
    ("brick", 300, 20, 128, 6, [300, 300, 300, 300, 300, 20]),
    ("brick", 16, 200, 64, 4, [64, 64, 64, 200]),
    ("triangle", 16, 26, 200, 1, [26]),
    ("triangle", 16, 26, 200, 2, [200, 26]),
    ("triangle", 16, 26, 200, 4, [77, 138, 200, 26]),
    ("triangle", 16, 26, 201, 5, [62, 108, 154, 201, 26]),
    ("triangle", 54, 10, 100, 7, [61, 68, 75, 82, 89, 100, 10]),
    ("triangle", 300, 20, 128, 6, [300, 300, 300, 300, 300, 20]),
    ("triangle", 16, 200, 64, 4, [32, 48, 64, 200]),
    ("triangle", 9, 7, 1000, 15, [79, 149, 219, 289, 359, 429, 499, 569, 639, 709, 779, 849, 919, 1000, 7]),
    ("stairs", 16, 26, 200, 1, [26]),
    ("stairs", 16, 26, 200, 2, [200, 26]),
    ("stairs", 16, 26, 200, 4, [200, 84, 84, 26]),
    ("stairs", 16, 26, 201, 5, [201, 201, 115, 115, 26]),
    ("stairs", 54, 10, 100, 7, [100, 100, 70, 70, 40, 40, 10]),
    ("stairs", 300, 20, 128, 6, [300, 188, 188, 76, 76, 20]),
    ("stairs", 16, 200, 64, 4, [64, 64, 64, 200]),
    ("stairs", 9, 7, 1000, 15, [1000, 1000, 860, 860, 720, 720, 580, 580, 440, 440, 300, 300, 160, 160, 7]),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_units_of_each_layer(row):
    *arguments, units = row
    assert layer_units(*arguments) == units


def test_the_table_has_every_shape():
    assert {row[0] for row in TABLE} == set(SHAPES)
    assert len(TABLE) >= 50


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layers", range(1, 16))
def test_there_are_as_many_layers_as_asked_for_none_wider_than_the_widest(shape, layers):
    for n_in, n_out, most in ((1, 1, 10), (500, 3, 20), (8, 900, 64)):
        units = layer_units(shape, n_in, n_out, most, layers)
        assert len(units) == layers
        assert units[-1] == n_out
        assert all(0 < count <= max(n_in, most) for count in units[:-1])


def test_a_hexagon_of_three_layers_is_flat():
    """Rise and fall have two layers each, one too many: the last one is left out."""
    assert layer_units("hexagon", 16, 26, 200, 3) == [200, 200, 26]


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        ("funnel", [0.5, 0.375, 0.25, 0.125, 0.0]),
        ("brick", [0.5, 0.5, 0.5, 0.5, 0.0]),
        ("triangle", [0.125, 0.25, 0.375, 0.5, 0.0]),
        ("diamond", [0.25, 0.5, 0.3335, 0.167, 0.0]),
        ("stairs", [0.5, 0.5, 0.25, 0.25, 0.0]),
        ("long_funnel", [0.5, 0.5, 0.5, 0.25, 0.0]),
        ("hexagon", [0.5, 0.5, 0.5, 0.5, 0.0]),
    ],
)
def test_dropout_has_the_shape_too(shape, rates):
    assert layer_dropout(shape, 0.5, 5) == pytest.approx(rates, abs=1e-12)
