"""Which aspect ratio is nearest."""

import pytest

from videolm.data.media.framing import aspect_distance, nearest_aspects


def test_distances_of_aspect_ratios_are_those_of_their_logarithms():
    assert aspect_distance(1.0, 16 / 9) == pytest.approx(aspect_distance(1.0, 9 / 16))
    # The geometric mean of 1 and 1.75 is 1.323; the arithmetic one, 1.375, is not where they part.
    assert nearest_aspects(1.315, [1.0, 1.75]) == [0]
    assert nearest_aspects(1.330, [1.0, 1.75]) == [1]


def test_equally_near_aspect_ratios_are_all_named_and_the_nearest_comes_first():
    assert nearest_aspects(1.7, [28 / 16, 1.0, 56 / 32]) == [0, 2]
    assert sorted(nearest_aspects(1.0, [16 / 9, 9 / 16, 4.0])) == [0, 1]
    assert nearest_aspects(1.0, [1.0 + 5e-7, 1.0, 1.1]) == [1, 0]
