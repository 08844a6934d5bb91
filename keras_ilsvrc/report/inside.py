"""Sections that look inside the net: top activations, and what covering images changes."""

from markupsafe import Markup

from keras_ilsvrc.report.page import Section, picture
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.inspection import Inspection, of_experiment
from keras_ilsvrc.visualize.occlusion import Occluder
from keras_ilsvrc.visualize.probe import Probe
from keras_ilsvrc.visualize.rules import is_relu
from keras_ilsvrc.visualize.sheets import occlusion_sheet, top_sheet
from keras_ilsvrc.visualize.top import Top, Windows

LOOKED_AT = 1000  # test images, for the strongest activations
COVERED = 3  # images
SHARE = 0.75  # of the image's side: the most that a unit of the layer shown should see


def strongest(run: FinishedRun) -> Section | None:
    """The nine strongest activations of maps of one layer, projected, and their patches."""
    view = of_experiment(run.experiment, run.directory)
    layer = layer_of_parts(view)
    if layer is None:
        return None
    top = Top(view.model, layer)
    with run.working("looking at images") as progress:
        found = top(view.batches(LOOKED_AT, progress), view.batch_size)
    images, (height, width) = min(LOOKED_AT, len(run.labels)), found.windows[0, 0, 2:]
    shown = picture(
        top_sheet(found, "", view.picture),
        f"Of {len(found.maps)} maps of {layer} the nine strongest activations, projected to the "
        "pixels by the deconvnet, and the patches of the images that caused them",
        photos=True,
    )
    note = (
        f"The first {len(found.maps)} maps of {layer}, whose units see {height}x{width} pixels: "
        f"where {images:,} test images excite each most. Left what the deconvnet makes of the "
        "activation, right the patch."
    )
    return Section("What excites its maps", "strongest", shown, note)


def layer_of_parts(view: Inspection) -> str | None:
    """The last ReLU whose units see parts of an image, not all of it; None if all see it all.

    Of a net without ReLU, the last such layer of maps.
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
    """Some test images, a square slid over each: the first of as many classes."""
    view = of_experiment(run.experiment, run.directory)
    firsts = {int(label): index for index, label in reversed(list(enumerate(run.labels)))}
    shown, cover, fill = Markup(), Occluder(view.model), view.grey()
    for index in sorted(firsts.values())[:COVERED]:
        label = int(run.labels[index])
        with run.working("covering an image") as progress:
            found = cover(view.image(index), label, fill=fill, progress=progress)
        figure = occlusion_sheet(found, view.picture(index), run.classes, "")
        name = run.classes[label]
        alt = f"An image of {name}, and where a grey square over it changes what the net says"
        shown += picture(figure, alt, photos=True)
    note = (
        "A grey square slides over an image: where it lowers the probability of the true class, "
        "the net looks at what is there."
    )
    return Section("What it looks at", "covered", shown, note)
