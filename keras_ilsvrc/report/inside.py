"""Report sections on what the network responds to: top activations and occlusion maps."""

from markupsafe import Markup

from keras_ilsvrc.report.page import Section, picture
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.inspection import Inspection, of_experiment
from keras_ilsvrc.visualize.occlusion import Occluder
from keras_ilsvrc.visualize.probe import Probe
from keras_ilsvrc.visualize.rules import is_relu
from keras_ilsvrc.visualize.sheets import occlusion_sheet, top_sheet
from keras_ilsvrc.visualize.top import Top, Windows

LOOKED_AT = 1000  # maximum number of test images searched for the strongest activations
COVERED = 3  # number of test images shown with occlusion maps
SHARE = 0.75  # maximum receptive field of the shown layer, as a fraction of the image's side


def strongest(run: FinishedRun) -> Section | None:
    """Return the section with the top activations of one layer; None if no layer is suitable."""
    view = of_experiment(run.experiment, run.directory)
    layer = layer_of_parts(view)
    if layer is None:
        return None
    top = Top(view.model, layer)
    with run.working("searching images") as progress:
        found = top(view.batches(LOOKED_AT, progress), view.batch_size)
    images, (height, width) = min(LOOKED_AT, len(run.labels)), found.windows[0, 0, 2:]
    shown = picture(
        top_sheet(found, "", view.picture),
        f"The strongest activations of {len(found.maps)} feature maps of {layer}, projected to "
        "pixels by the deconvnet, and the image patches that caused them",
        photos=True,
    )
    note = (
        f"The strongest activations over {images:,} test images, for each of the first "
        f"{len(found.maps)} feature maps of {layer}, whose receptive field is {height}x{width} "
        "pixels. Left: the activation, projected to pixels by the deconvnet, cropped to the part "
        "with most of the signal, and scaled. Right: this part of the image."
    )
    return Section("Top activations", "strongest", shown, note)


def layer_of_parts(view: Inspection) -> str | None:
    """Return the name of the last ReLU whose receptive field is only a part of the image.

    If the network has no ReLU, all layers with feature maps are considered. If no layer is
    suitable, return None.
    """
    probe = Probe(view.model)
    maps = [call for call, _ in probe.steps if len(call.outputs[0].shape) == 4]
    rectified = [call for call in maps if is_relu(call.operation)] or maps
    seen = Windows(probe).seen
    side = min(probe.image.shape[1:3])
    parts = [
        call.name
        for call in rectified
        if (spans := seen.get(id(call.outputs[0])))
        and all(span.stride and span.field <= SHARE * side for span in spans)
    ]
    return parts[-1] if parts else None


def covered(run: FinishedRun) -> Section:
    """Return the section with occlusion maps of a few test images, each of a different class."""
    view = of_experiment(run.experiment, run.directory)
    firsts = {int(label): index for index, label in reversed(list(enumerate(run.labels)))}
    shown, cover, fill = Markup(), Occluder(view.model), view.grey()
    for index in sorted(firsts.values())[:COVERED]:
        label = int(run.labels[index])
        with run.working("covering an image") as progress:
            found = cover(view.image(index), label, fill=fill, progress=progress)
        figure = occlusion_sheet(found, view.picture(index), run.classes, "")
        name = run.classes[label]
        alt = f"An image of {name}, and where a grey square on it changes the prediction"
        shown += picture(figure, alt, photos=True)
    note = (
        "A grey square slides over an image. Where it lowers the probability of the true class, "
        "the net uses what the square covers."
    )
    return Section("Occlusion", "covered", shown, note)
