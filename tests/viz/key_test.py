"""The key below a picture."""

import numpy as np

from jaxvision.viz.key import with_key
from jaxvision.viz.text import INK


def test_every_entry_has_its_colour_and_long_keys_take_more_lines():
    picture = np.full((20, 300, 3), 7, np.uint8)
    colors = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    keyed = with_key(picture, [(color, "a name of some length") for color in colors])
    np.testing.assert_array_equal(keyed[:20], picture)
    for color in colors:
        assert (keyed[20:] == np.array(color)).all(-1).sum() == 14 * 14
    assert len(keyed) > len(with_key(picture, [(colors[0], "short")])) > 20
    assert not (with_key(picture, [(INK, "text")])[24:38, 10:24] == np.array(INK)).all()
