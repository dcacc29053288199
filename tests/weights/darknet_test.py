"""Files of darknet, against a forward pass as darknet does it, in NumPy."""

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models import yolo
from jaxvision.models.yolo import NETS, YOLO, Convolution, Dense, Net
from jaxvision.recipes import pretrained
from jaxvision.weights import darknet
from jaxvision.weights.imported import merge

RNG = np.random.default_rng(0)
TINY = (Convolution(4, 3, pool=True), Convolution(3, 1, pool=True), Convolution(5, 3, pool=True))
CASES = {
    "plain": Net(TINY, 2, (Dense(6, leaky=False), Dense(8))),
    "normed": Net(TINY, 2, (Dense(8),), batch_norm=True),
    "local": Net(TINY, 2, (), batch_norm=True, local=4),
}
OUTPUTS = 49 * 30
HEADERS = {"new": [0, 2, 0, 640, 0], "old": [0, 1, 0, 640], "transposed": [1001, 0, 0, 640]}


@pytest.fixture(autouse=True)
def nets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(NETS):
        monkeypatch.delitem(NETS, name)
    for name, net in CASES.items():
        monkeypatch.setitem(NETS, name, net)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def layers_of(net: Net) -> list[dict[str, np.ndarray]]:
    """Random numbers for every layer, under darknet's names and in its order."""
    layers, before = [], 3
    for layer in net.convolutions:
        n = layer.channels
        arrays = {"biases": normal(n)}
        if net.batch_norm:
            arrays |= {"scales": normal(n) + 1, "mean": normal(n), "variance": np.abs(normal(n)) + 1e-7}
        layers.append({**arrays, "weights": normal(n, before, layer.kernel_size, layer.kernel_size)})
        before = n
    if net.local:
        layers.append({"biases": normal(net.local, 7, 7), "local": normal(7, 7, net.local, before, 3, 3)})
        before = net.local
    inputs = 49 * before
    for outputs in (*(layer.features for layer in net.hidden), OUTPUTS):
        layers.append({"biases": normal(outputs), "matrix": normal(outputs, inputs)})
        inputs = outputs
    return layers


def write(path: Path, layers: list[dict[str, np.ndarray]], header: str = "new") -> str:
    def stored(name: str, value: np.ndarray) -> bytes:
        return (value.T if name == "matrix" and header == "transposed" else value).astype("<f4").tobytes()

    numbers = b"".join(stored(name, value) for layer in layers for name, value in layer.items())
    path.write_bytes(np.array(HEADERS[header], "<i4").tobytes() + numbers)
    return str(path)


def windows(x: np.ndarray, size: int) -> np.ndarray:
    """[C, H, W] -> [C, H, W, size, size]."""
    pad = size // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.1 * x)


def forward(net: Net, layers: list[dict[str, np.ndarray]], image: np.ndarray) -> np.ndarray:
    """The outputs of the last layer for an image [3, H, W] of 0..1."""
    rest: Iterator[dict[str, np.ndarray]] = iter(layers)
    x = image.astype(np.float64)
    for layer in net.convolutions:
        own = next(rest)
        x = np.einsum("chwij,ncij->nhw", windows(x, layer.kernel_size), own["weights"])
        if net.batch_norm:
            mean, root = own["mean"][:, None, None], np.sqrt(own["variance"])[:, None, None] + 1e-6
            x = (x - mean) / root * own["scales"][:, None, None]
        x = leaky(x + own["biases"][:, None, None])
        x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).max((2, 4))
    if net.local:
        own = next(rest)
        x = leaky(np.einsum("chwij,hwncij->nhw", windows(x, 3), own["local"]) + own["biases"])
    x = x.ravel()
    for i, own in enumerate(rest):
        x = own["matrix"] @ x + own["biases"]
        if i < len(net.hidden) and net.hidden[i].leaky:
            x = leaky(x)
    return x


@pytest.mark.parametrize(
    ("name", "header"), [("plain", "new"), ("plain", "transposed"), ("normed", "old"), ("local", "new")]
)
def test_outputs_are_darknets(tmp_path: Path, name: str, header: str):
    layers = layers_of(CASES[name])
    imported = darknet.read(write(tmp_path / "yolo.weights", layers, header))
    assert imported.network == "yolo" and imported.class_names[:2] == ("background", "aeroplane")
    image = RNG.random((56, 56, 3)).astype(np.float32)
    model = YOLO(21, name, boxes=2, stride=8)
    shapes = jax.eval_shape(lambda x: model.init(jax.random.PRNGKey(0), x, train=False), jnp.zeros((1, 56, 56, 3)))
    variables = merge(shapes, imported)
    assert not [leaf for leaf in jax.tree.leaves(variables) if isinstance(leaf, jax.ShapeDtypeStruct)]
    found = model.apply(variables, jnp.asarray(image)[None], train=False)
    ours = np.concatenate([np.ravel(found[part]) for part in ("classes", "confidence", "boxes")])
    theirs = forward(CASES[name], layers, image.transpose(2, 0, 1))
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("depth", [2, 3])
def test_convolutions_alone_are_a_trunk(tmp_path: Path, depth: int):
    imported = darknet.read(write(tmp_path / "extraction.conv.weights", layers_of(CASES["normed"])[:depth]))
    assert imported.network == "" and len(imported.variables["params"]) == 2 * depth
    trunk = yolo.Trunk("normed", stride=8)
    shapes = jax.eval_shape(lambda x: trunk.init(jax.random.PRNGKey(0), x, train=False), jnp.zeros((1, 56, 56, 3)))
    merged = merge(shapes, imported)["params"]
    assert isinstance(merged["conv2"]["kernel"], np.ndarray)
    assert isinstance(merged["conv3"]["kernel"], np.ndarray) == (depth == 3)


@pytest.mark.parametrize("size", [0, 10, 100, 5000])
def test_another_number_of_numbers_is_one_line(tmp_path: Path, size: int):
    file = Path(write(tmp_path / "yolo.weights", layers_of(CASES["plain"])))
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(ValueError, match="--init_from=darknet:.*yolo.weights: (cut short|.* is the file whole)"):
        darknet.read(str(file))


def test_the_published_networks_have_the_published_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    sizes = {layout: darknet._size(layout) for layout in darknet._layouts()}
    whole = {layout.name: size for layout, size in sizes.items() if layout.outputs == 1470 and not layout.batch_norm}
    assert whole == {"paper": 271703550, "fast": 45089374}
    # 27,095,374 parameters and the running statistics of 2,288 channels
    (tiny,) = (size for layout, size in sizes.items() if layout.name == "tiny" and layout.outputs == 1470)
    assert tiny == 27_095_374 + 2 * 2288
    assert len({size for layout, size in sizes.items() if layout.outputs}) == len(
        [layout for layout in sizes if layout.outputs]
    )


def test_settings_build_the_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    params = {"local": {}, "bn1": {}, "predictions": {"bias": np.zeros(49 * 35)}}
    settings = pretrained._yolo(params)
    assert settings["network.net"] == "darknet" and settings["network.boxes"] == 3 and settings["view.size"] == 448
    last = {"predictions": {"bias": np.zeros(1470)}}
    assert pretrained._yolo({"fc1": {}, "fc2": {}, **last})["network.net"] == "fast"
    found = [pretrained._yolo({"bn1": {}, **hidden, **last}) for hidden in ({"fc1": {}}, {})]
    assert [one["network.net"] for one in found] == ["paper", "tiny"]
    assert [one["network.batch_norm"] for one in found] == [True, False]
