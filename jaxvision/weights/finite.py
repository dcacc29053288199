"""A look for NaN and infinity in imported weights: a network with one of them answers NaN to every image."""

from jaxvision.weights.imported import Imported
from jaxvision.weights.rename import flat

_SHOWN = 4  # layers in a line


def unusable(imported: Imported) -> str:
    """Return a line that names the layers with values that are no numbers, "" where there are none."""
    layers: dict[str, None] = {}
    for path, value in flat(imported.variables).items():
        # Their sum is finite only if all values are, and needs no second array as large as the layer.
        if value.dtype.kind == "f" and not abs(float(value.sum(dtype="float64"))) < float("inf"):
            layers["/".join(path[1:])] = None
    if not layers:
        return ""
    names = list(layers)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{imported.origin}: NaN or infinity in {', '.join(names[:_SHOWN])}{more}: the network's answers will be NaN, "
        "too; take another file"
    )
