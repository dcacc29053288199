import pathlib
import re

import pytest

from jaxvision.data import specs


def test_a_spec_has_a_kind_and_an_argument():
    assert (specs.kind("tfds:mnist:3.0.1"), specs.argument("tfds:mnist:3.0.1")) == ("tfds", "mnist:3.0.1")
    assert (specs.kind("digits"), specs.argument("digits")) == ("digits", "")
    assert specs.path("voc:~/a,b") == pathlib.Path.home() / "a,b"


def test_counts():
    assert specs.counts("x:a=3", {"a": 1, "b": 2}) == {"a": 3, "b": 2}
    assert specs.counts("x", {"a": 1}) == {"a": 1}
    for bad in ("a", "a=", "a=0", "a=-1", "a=1.5", "c=1", "a=1;b=2", "=3"):
        with pytest.raises(ValueError, match=f"^--data=x:{re.escape(bad)}: cannot read .* a=N, b=N"):
            specs.counts(f"x:{bad}", {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("argument", "path", "options"),
    [
        ("dir", "dir", {}),
        ("dir,ignore=3", "dir", {"ignore": "3"}),
        ("dir,names=a.txt,ignore=x", "dir", {"names": "a.txt", "ignore": "x"}),
        ("a,b,ignore=", "a,b", {"ignore": ""}),
        ("a,ignore=1/b", "a", {"ignore": "1/b"}),
        ("a,other=1", "a,other=1", {}),
        ("a,ignore=1,ignore=2", "a", {"ignore": "2"}),
        ("ignore=1", "ignore=1", {}),
    ],
)
def test_options_stand_behind_a_path(argument, path, options):
    assert specs.path_and_options(f"x:{argument}", ("ignore", "names")) == (pathlib.Path(path), options)
