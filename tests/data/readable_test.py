"""A split is worth a run if one of its images can be read."""

import pytest

from jaxvision.data.image_files import ImageFiles
from jaxvision.data.readable import check_readable


def test_one_image_that_can_be_read_is_enough(tmp_path):
    files = [tmp_path / name for name in ("a.ppm", "b.ppm")]
    files[0].write_bytes(b"broken")
    files[1].write_bytes(b"P6 1 1 255 abc")
    check_readable("DIR", "val", ImageFiles(tuple(map(str, files))))
    check_readable("DIR", "val", ImageFiles(()))
    files[1].write_bytes(b"P6 1 1 255 a")
    with pytest.raises(
        ValueError, match=r"^DIR: no image of 2 in the split 'val' can be read; the first: .*a.ppm: not"
    ):
        check_readable("DIR", "val", ImageFiles(tuple(map(str, files))))
