"""The `visualize` commands, which show in pictures and tables what a net has learned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from keras_ilsvrc.cli.options import complete_runs
from keras_ilsvrc.cli.visualize import tables
from keras_ilsvrc.cli.visualize.options import (
    Class,
    Count,
    Images,
    Layer,
    Maps,
    Model,
    Numbers,
    Out,
    Preprocess,
    Run,
    SomeLayer,
    Source,
    parse_numbers,
    saver,
    sources_of,
    starting,
    viewed,
)
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError

STRONGEST = 6  # number of feature maps drawn per image if --maps is not given
WIDEST = 12  # maximum number of feature maps drawn per image

app = typer.Typer(no_args_is_help=True, help="Draw and measure what a trained network has learned.")
app.command("health")(tables.health)
app.command("correspondence")(tables.correspondence)


@app.command("deconvnet")
def deconvnet(
    layer: Layer,
    run: Run = None,
    model: Model = None,
    preprocess: Preprocess = None,
    source: Source = None,
    image: Images = None,
    number: Numbers = None,
    maps: Maps = None,
    out: Out = None,
) -> None:
    """Project the strongest activations of a layer back to pixels with ZFNet's deconvnet."""
    wanted = parse_numbers(maps)
    if len(wanted or ()) > WIDEST:
        raise InputError(f"--maps has {len(wanted or ())} indices; expected at most {WIDEST}")
    save = saver("deconvnet", out, image)
    with starting():
        names = sources_of(image, number)
        view = viewed(run, model, preprocess, source, names)
        from keras_ilsvrc.visualize import sheets
        from keras_ilsvrc.visualize.backward import Deconvnet

        project = Deconvnet(view.model, layer)
        rows, titles = [], []
        for name in names:
            taken = view.image(name)
            of_image = wanted or _strongest(project.probe, taken)
            found = project(taken, of_image)
            rows.append([sheets.stretched(view.picture(name)), *map(sheets.centred, found.images)])
            titles.append(view.title(name))
            titles += [f"map {n}: {value:.3g}" for n, value in zip(found.maps, found.values)]
        title = f"{view.model.name}, {layer}: the strongest activation of each map"
    save(sheets.panels(rows, titles, title))


@app.command("top-activations")
def top_activations(
    layer: Layer,
    run: Run = None,
    model: Model = None,
    preprocess: Preprocess = None,
    source: Source = None,
    maps: Maps = None,
    images: Count = None,
    out: Out = None,
) -> None:
    """Draw each feature map's nine strongest activations, as projections and image patches."""
    save = saver("top-activations", out)
    with starting():
        view = viewed(run, model, preprocess, source)
        from keras_ilsvrc.visualize import sheets
        from keras_ilsvrc.visualize.top import Top

        top = Top(view.model, layer, parse_numbers(maps))
    with bar("reading images") as progress:
        found = top(view.batches(images, progress), view.batch_size)
    title = f"{view.model.name}, {layer}: strongest activations, projected, and their patches"
    save(sheets.top_sheet(found, title, view.picture))


@app.command("occlusion")
def occlusion(
    run: Run = None,
    model: Model = None,
    preprocess: Preprocess = None,
    source: Source = None,
    image: Annotated[Path | None, typer.Option(help="Image file.")] = None,
    number: Annotated[
        int, typer.Option(help="Index of an image in the data set, if there is no --image.")
    ] = 0,
    class_: Class = None,
    layer: SomeLayer = None,
    square: Annotated[
        int | None,
        typer.Option(help="Side of the square in pixels (default: a fifth of the image's side)."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Pixels between positions of the square (default: a quarter of its side)."
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Slide a grey square over an image and draw how the prediction changes."""
    save = saver("occlusion", out, [image] if image else None)
    with starting():
        name = number if image is None else image
        view = viewed(run, model, preprocess, source, [name])
        from keras_ilsvrc.visualize import sheets
        from keras_ilsvrc.visualize.occlusion import Occluder

        cover = Occluder(view.model, layer)
        taken, picture = view.image(name), view.picture(name)
        label = view.label(name) if class_ is None else view.class_index(class_)
        caption = view.caption(name, view.probabilities(taken)[0])
    with bar("covering the image") as progress:
        found = cover(taken, label, square, stride, view.grey(), view.batch_size, progress)
    title = f"{view.model.name}: what covering a part of the image changes"
    save(sheets.occlusion_sheet(found, picture, view.names, title, caption))


@app.command("filters")
def filters(
    run: Run = None,
    model: Model = None,
    layer: Annotated[
        str | None, typer.Option(help="Name of a convolution layer (default: the first one).")
    ] = None,
    out: Out = None,
) -> None:
    """Draw the kernels of a convolution, as in figure 3 of the AlexNet paper."""
    save = saver("filters", out)
    with starting():
        view = viewed(run, model, None, None, images=())
        from keras_ilsvrc.visualize import sheets
        from keras_ilsvrc.visualize.filters import filters as kernels

        found = kernels(view.model, layer)
        name = f"{len(found)} filters of {found.shape[1]}x{found.shape[2]}"
    save(sheets.filter_sheet(found, f"{view.model.name}: {name}"))


@app.command("evolution")
def evolution(
    run: Annotated[
        Path,
        typer.Option(
            "--run",
            help="Directory of a finished run whose recipe sets keep_epochs.",
            autocompletion=complete_runs,
        ),
    ],
    layer: Layer,
    source: Source = None,
    maps: Maps = None,
    images: Count = None,
    out: Out = None,
) -> None:
    """Draw each feature map's strongest activation after each epoch whose weights were kept."""
    save = saver("evolution", out)
    with starting():
        view = viewed(run, None, None, source)
        from keras_ilsvrc.visualize import sheets
        from keras_ilsvrc.visualize.evolution import evolution as follow

        if not view.epochs:
            raise InputError(
                f"{run}: this run kept only its final weights; to keep the weights of some epochs, "
                "train with keep_epochs = [1, 2, 5] in the recipe"
            )
    with bar("epochs") as progress:
        batches, chosen = view.repeatable(images), parse_numbers(maps)
        found = follow(
            view.model, view.epochs, batches, layer, chosen, view.batch_size, view.load, progress
        )
    title = f"{view.model.name}, {layer}: the strongest activation of each map"
    save(sheets.evolution_sheet(found, title))


def _of_images(verb: str, help_: str) -> None:
    """Add a command with the name `verb`, which draws how much each pixel matters for a class."""

    def command(
        run: Run = None,
        model: Model = None,
        preprocess: Preprocess = None,
        source: Source = None,
        image: Images = None,
        number: Numbers = None,
        class_: Class = None,
        out: Out = None,
    ) -> None:
        save = saver(verb, out, image)
        with starting():
            names = sources_of(image, number)
            view = viewed(run, model, preprocess, source, names)
            import numpy as np

            from keras_ilsvrc.visualize import backward, sheets

            function = getattr(backward, verb.replace("-", "_"))
            label = None if class_ is None else view.class_index(class_)
            images = np.stack([view.image(name) for name in names])
            all_found = function(view.model, images, labels=label)
            rows, titles = [], []
            for name, found, share in zip(names, all_found, view.probabilities(images)):
                picture, signed = view.picture(name), found.ndim == 3
                made = sheets.centred(found) if signed else sheets.heat(found, picture)
                rows.append([sheets.stretched(picture), made])
                explained = int(share.argmax()) if label is None else label
                titles += [view.caption(name, share), f"{verb} of {view.likely(explained, share)}"]
        save(sheets.panels(rows, titles, view.model.name))

    app.command(verb, help=help_)(command)


_of_images("saliency", "Draw how much each pixel changes the score of the most likely class.")
_of_images("guided-backpropagation", "Draw which pixels support the most likely class.")
_of_images("grad-cam", "Draw which regions support the most likely class.")


def _strongest(probe: Any, image: Any) -> list[int]:
    """Return the indices of the feature maps with the strongest activations in an image."""
    activations = probe.activations(image[None]).numpy()[0]
    strengths = activations.reshape(-1, activations.shape[-1]).max(0)
    return strengths.argsort()[::-1][:STRONGEST].tolist()
