"""The `draw_model` function, which draws networks and writes the picture to a file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc.layers.graph import functional
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.drawing.diagram import block_figure
from keras_ilsvrc.visualize.drawing.page import save_drawing
from keras_ilsvrc.visualize.drawing.reading import blocks_of
from keras_ilsvrc.visualize.drawing.volumes import volume_figure

FORMATS = (".svg", ".png", ".pdf")


def draw_model(
    models: keras.Model | Sequence[keras.Model],
    path: str | Path,
    opened: bool = False,
    volumes: bool = False,
    upward: bool | None = None,
) -> None:
    """Draw functional models as blocks, or as stacked volumes to scale, and write a picture.

    Convolutions are blue, pools red, softmax yellow and other layers green, as in figure 3 of
    Szegedy et al. (arXiv:1409.4842). Each block shows the layer, its name and the shape of its
    output. Activations, batch normalisation, padding, dropout and flattening are not drawn.
    Shortcuts are arcs, dashed if they change the shape, as in figure 3 of He et al.
    (arXiv:1512.03385). Grouped convolutions with two groups are drawn as two towers. Consecutive
    equal units are drawn once, with their number.

    Args:
        models: One model, or several to draw side by side. If their maps only become smaller,
            layers with maps of the same size begin at the same height.
        path: File to write: .svg, .png or .pdf.
        opened: Whether to draw the layers inside residual units, modules and nested models. More
            than eight consecutive equal units are still drawn once.
        volumes: Whether to draw the output of each layer on the longest path as a box. Height and
            depth are to scale; the width grows with the square root of the number of maps. Several
            models are drawn below each other.
        upward: Whether the input is at the bottom. If None, it is at the bottom only if every model
            concatenates branches, as GoogLeNet does.

    Raises:
        InputError: If the format is unknown, a model is not functional, the file cannot be written,
            igraph is needed and not installed, or, for volumes, a size is unknown.
    """
    path = check_picture("path", path)
    models = [models] if isinstance(models, keras.Model) or not _is_list(models) else [*models]
    if not models:
        raise InputError("models is empty; expected at least one keras.Model")
    nets = []
    for model in models:
        if not functional(model):
            raise InputError(
                f"{getattr(model, 'name', 'model')} is a {type(model).__name__}; only built "
                "functional and Sequential models can be drawn: build it from keras.Input"
            )
        nets.append((model.name, blocks_of(model)))
    figure = volume_figure(nets) if volumes else block_figure(nets, opened, upward)
    save_drawing(figure, path)


def check_picture(name: str, path: str | Path) -> Path:
    """Return the path of a picture to write, after checking its format and its folder.

    Raises:
        InputError: If the suffix is not one of `FORMATS`, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix not in FORMATS or not path.stem:
        raise InputError(f"{name} is {path}; expected a file that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise InputError(f"{name} is {path}; there is no folder {path.parent}")
    return path


def _is_list(models: Any) -> bool:
    return isinstance(models, Iterable) and not isinstance(models, str)
