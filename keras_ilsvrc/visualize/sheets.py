"""Figures of visualization results, as rows and grids of images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import TABLEAU_COLORS, to_rgb
from matplotlib.figure import Figure

from keras_ilsvrc.visualize.evolution import Evolution
from keras_ilsvrc.visualize.figures import DPI, GREY, plain
from keras_ilsvrc.visualize.filters import enlarged, tile
from keras_ilsvrc.visualize.occlusion import Occlusion
from keras_ilsvrc.visualize.top import TopActivations, cut, focused

Picture = Callable[[int], np.ndarray]  # function that returns the image at an index
INCH = 2.2  # width of each image in a row of images, in inches
CLASS_COLOURS = tuple(TABLEAU_COLORS)[:7]  # for the seven most frequent classes; others are grey
ACROSS = 4  # number of feature maps in a row of a figure
LINE = (0.6, 0.75, 0.9)  # colour between images: light blue, since images may be black or white
BRIGHT = 99.5  # percentile of the absolute values of a signal; larger values are clipped
ENLARGED = 48  # smaller images are enlarged to sides of about this many pixels


def centred(signal: np.ndarray) -> np.ndarray:
    """Convert a signal to an image (height, width, 3) with values from 0 to 1; 0.5 means zero.

    Each signal is scaled separately. The few largest values are clipped, so that the others are
    not too faint to be seen.
    """
    signal = signal if signal.shape[-1] in (1, 3) else signal.sum(-1, keepdims=True)
    sizes = np.abs(signal)
    largest = np.percentile(sizes, BRIGHT, method="higher") or sizes.max() or 1.0
    return coloured(0.5 + (signal / (2 * largest)).clip(-0.5, 0.5))


def stretched(image: np.ndarray) -> np.ndarray:
    """Scale pixel values to 0-1 (uint8 by 1/255, others by their range); return three channels."""
    if image.dtype == np.uint8:
        return coloured(image / 255)
    image = image if image.shape[-1] in (1, 3) else image.mean(-1, keepdims=True)
    low, high = float(image.min()), float(image.max())
    return coloured((image - low) / ((high - low) or 1.0))


def coloured(image: np.ndarray) -> np.ndarray:
    """Return a greyscale image with three equal channels, and other images unchanged."""
    return np.repeat(image, 3, -1) if image.shape[-1] == 1 else image


def panels(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], title: str) -> Figure:
    """Return a figure with rows of images. `titles` are the images' titles, row by row."""
    columns = max(map(len, rows))
    size = INCH * columns, 0.5 + (INCH + 0.35) * len(rows)
    figure, axes = _figure((max(size[0], 5.0), size[1]), title, len(rows), columns)
    for place, image in enumerate(image for row in rows for image in row):
        own = axes[place]
        own.imshow(image, vmin=0, vmax=1, cmap="gray")
        if place < len(titles):
            own.set_title(plain(titles[place], 36), fontsize=9)
    return figure


def top_sheet(found: TopActivations, title: str, picture: Picture | None = None) -> Figure:
    """Return a figure of the projections and image patches of each feature map, side by side.

    Args:
        found: Top activations to draw. They are cropped by `focused`.
        title: Title of the figure.
        picture: Function that returns the unprocessed image at an index, in the input size of the
            net. If None, patches of the preprocessed images are drawn.
    """
    found, blocks = focused(found), []
    for row in range(len(found.maps)):
        windows, indices = found.windows[row], found.indices[row]
        if picture is None:
            patches = [stretched(patch) for patch in found.patches[row]]
        else:
            patches = [stretched(cut(picture(i), w)) for i, w in zip(indices, windows)]
        both = [[centred(x) for x in found.projections[row]], patches]
        left, right = (mosaic(side, int(np.ceil(len(side) ** 0.5))) for side in both)
        gap = max(3, left.shape[1] // 36)
        blocks.append(np.concatenate([left, np.ones_like(left[:, :gap]), right], 1))
    return _grid(blocks, [f"map {number}" for number in found.maps], title, ACROSS)


def mosaic(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Return a mosaic of images of equal size. Small images are enlarged."""
    large = enlarged(np.stack(images), ENLARGED)
    return tile(large, columns, max(1, large.shape[2] // 24), LINE)


def contact_sheet(images: Mapping[str, Sequence[np.ndarray]], title: str) -> Figure:
    """Return a screen-sized figure of uint8 images, given as {class name: up to five images}."""
    widest = max(5, *map(len, images.values()))
    blank = np.full_like(next(iter(images.values()))[0], 255)
    rows = [[*own, *[blank] * (widest - len(own))] for own in images.values()]
    blocks = [coloured(tile(np.stack(row) / 255, widest, 4, (1.0, 1.0, 1.0))) for row in rows]
    return _grid(blocks, [plain(name, 60) for name in images], title, -(-len(rows) // 7))


def filter_sheet(found: np.ndarray, title: str) -> Figure:
    """Return a figure of the filters of a layer, as returned by `filters`."""
    return _grid([coloured(tile(found))], [""], title, 1)


def evolution_sheet(found: Evolution, title: str) -> Figure:
    """Return a figure with a row for each feature map: its top activation at each checkpoint."""
    names = [f"map {number}" for number in found.found[0].maps]
    rows = []
    for row in range(len(names)):
        steps = [centred(top.projections[row, 0]) for top in found.found]
        rows.append(mosaic(steps, len(steps)))
    across = 2 if len(rows) > 1 else 1
    return _grid(rows, names, f"{title}\n{', '.join(found.times)}", across)


def _grid(blocks: Sequence[np.ndarray], names: Sequence[str], title: str, across: int) -> Figure:
    """Return a figure with a grid of images and their names, large enough to show every pixel."""
    across = min(across, len(blocks))
    down = -(-len(blocks) // across)
    height, width = blocks[0].shape[:2]
    inches = max(13.0 / ACROSS, width / DPI) if across > 1 else max(6.0, width / DPI)
    size = across * (inches + 0.1), down * (inches * height / width + 0.3) + 0.5
    figure, axes = _figure(size, title, down, across)
    for own, block, name in zip(axes, blocks, names):
        own.imshow(block)
        own.set_title(name, fontsize=9)
    return figure


def _figure(size: tuple[float, float], title: str, down: int, across: int) -> tuple[Figure, Any]:
    """Return a figure of the given size in inches, and a flat array of its axes, row by row."""
    figure = Figure(figsize=size, layout="constrained")
    if title:
        figure.suptitle(plain(title))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for each in axes:
        each.axis("off")
    return figure, axes


def occlusion_sheet(
    found: Occlusion,
    picture: np.ndarray,
    classes: Sequence[str],
    title: str,
    caption: str | None = None,
) -> Figure:
    """Return a figure of an image, and of a net's outputs for each position of the grey square.

    Args:
        found: Result of `occlusion`.
        picture: (height, width, channels): the image to show, for example without preprocessing.
        classes: Names of the classes.
        title: Title of the figure.
        caption: Title of the image; by default the name of the class.
    """
    figure, axes = _figure((13, 3.5 if caption else 3.2 if title else 2.9), title, 1, 4)
    axes[0].imshow(stretched(picture))
    name = plain(classes[found.label], 24)
    square = f"square: {found.square}x{found.square} pixels"
    axes[0].set_title(f"{plain(caption, 36) if caption else name}\n{square}", fontsize=9)
    height, width = picture.shape[:2]
    extent = (0, width, height, 0)
    maps = (
        (found.probability, f"probability of {name}", (0, None), found.whole[0]),
        (found.activation, f"total activation of map {found.map}", (None, None), found.whole[1]),
    )
    for own, (values, what, (low, high), whole) in zip(axes[1:], maps):
        drawn = own.imshow(values, cmap="viridis", extent=extent, vmin=low, vmax=high)
        own.set_title(f"{what}\nuncovered: {whole:.3g}", fontsize=9)
        figure.colorbar(drawn, ax=own, shrink=0.8)
    own = axes[3]
    present, counts = np.unique(found.labels, return_counts=True)
    named = present[np.argsort(-counts, kind="stable")][: len(CLASS_COLOURS)]
    colours = [*CLASS_COLOURS, GREY]
    places = np.full(found.labels.shape, len(CLASS_COLOURS))  # all other classes are grey
    for number, label in enumerate(named):
        places[found.labels == label] = number
        own.plot([], [], "s", color=colours[number], label=plain(classes[label], 24))
    if len(present) > len(named):
        own.plot([], [], "s", color=GREY, label=f"{len(present) - len(named)} others")
    own.imshow(np.array([to_rgb(colour) for colour in colours])[places], extent=extent)
    own.set_title("most likely class\n", fontsize=9)
    own.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def heat(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Overlay an image with a heat map of non-negative values; large values are red."""
    share = (values / (values.max() or 1.0))[..., None]
    grey = stretched(picture).mean(-1, keepdims=True) * 0.6 + 0.2
    return grey * (1 - 0.7 * share) + np.array([0.85, 0.15, 0.1]) * 0.7 * share
