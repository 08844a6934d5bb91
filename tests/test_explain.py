"""Tests of the page of `explain`, in a browser: answers, maps, drawing, covering and faults."""

import base64
import io
import json

import browser
import keras
import numpy as np
import pytest
from cases import each_of
from commands import refused, said
from explained import NETS, net_of, photographs, spread, view_of
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.images import preprocess_images
from keras_ilsvrc.layers import CeilAveragePooling2D
from keras_ilsvrc.report.explain import weights, write_page
from keras_ilsvrc.report.explain.images import drawing, samples
from keras_ilsvrc.runs.inspection import of_run
from keras_ilsvrc.runs.loaded import load_run

pytestmark = pytest.mark.tensorflow
EQUAL = 1e-3
needs_browser = pytest.mark.skipif(
    not browser.installed(), reason="needs a browser: apt-get install chromium"
)
SEE = """(async () => {
    const bytes = Uint8Array.from(atob("%s"), (one) => one.charCodeAt(0));
    const x = await decodedImage(new Blob([bytes]), channels, "photo.png");
    return await see(x, rows.all);
})()"""

# Whether there is anything in the small picture of the drawing, and in a map of the first layer
INKED = """[byId('inset'), layers[0].maps.firstChild.firstChild].map((one) =>
    one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some((x) => x))"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A browser without a page."""
    with browser.Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def page(small_run, tmp_path_factory):
    """The page of a run, with room for the strongest images of four layers."""
    path = tmp_path_factory.mktemp("explained") / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "ROOM", weights.SCRIPTS)
        patch.setattr(weights, "MOST", weights.SCRIPTS + 438_000)
        printed = said("explain", small_run, "--out", path)
        assert path.stat().st_size < weights.MOST
    assert printed.startswith(str(path))
    assert "74,826 weights, 20 test images, strongest images of 4 of 12 layers" in printed
    return path


@pytest.fixture
def shown(page, opened):
    """The page in a window of a laptop, after its first answer."""
    opened.open(page, 1280, 900)
    opened.value("answer()")
    return opened


def png(image):
    held = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(held, "png")
    return base64.b64encode(held.getvalue()).decode()


def answers(opened, images):
    found = [opened.value(SEE % png(image)) for image in images]
    assert None not in found, opened.complaints() or opened.value("byId('fault').textContent")
    return np.array(found)


def differences(net, rows, path, opened):
    """Largest differences between answers of the page and of the net on ten images."""
    view, images = view_of(net, rows), photographs(net.inputs[0].shape[-1])
    shape = net.inputs[0].shape[1:]
    given = preprocess_images(images, rows, view.statistics, shape)
    spread(net, given)
    write_page(view, path, "a net")
    opened.open(path, 1280, 900)
    expected = net(given).numpy()
    assert np.ptp(expected, axis=0).max() > 20 * EQUAL  # they depend on the image
    return np.abs(answers(opened, images) - expected).max()


@needs_browser
@each_of("name", list(NETS))
def test_the_page_answers_as_the_net(name, opened, tmp_path):
    net = net_of(name)
    assert differences(net, NETS[name][1], tmp_path / "page.html", opened) < EQUAL


@needs_browser
def test_a_large_page_has_weights_of_16_bits_and_answers_as_the_net(opened, tmp_path, monkeypatch):
    net = net_of("resnet_cifar")
    monkeypatch.setattr(weights, "MOST", weights.ROOM + 250_000)
    assert differences(net, NETS["resnet_cifar"][1], tmp_path / "page.html", opened) < 2 * EQUAL
    assert opened.value("net.half")


@needs_browser
def test_activations_pools_and_zca_are_as_in_keras(opened, tmp_path):
    random = np.random.default_rng(1)
    x = image = keras.Input((6, 6, 3))
    for name in ("relu6", "elu", "softplus", "silu", "sigmoid", "tanh"):
        x = keras.layers.Conv2D(3, 3, padding="same", dilation_rate=2, activation=name)(x)
    x = keras.layers.AveragePooling2D(3, 1, "same")(x)
    x = CeilAveragePooling2D(3, 2)(x)
    x = keras.layers.MaxPooling2D(2, 1, "same")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    net = keras.Model(image, keras.layers.Dense(4, "softmax")(x))
    net.set_weights([random.normal(0, 1.0, w.shape) for w in net.weights])
    view = view_of(net, [{"op": "resize", "size": 6}, {"op": "zca", "epsilon": 0.1}])
    matrix = random.normal(0, 0.01, (108, 108)).astype("float32")
    statistics = {"zca_mean": np.full(108, 120, "float32"), "zca_matrix": matrix}
    view.statistics.update(statistics, zca_epsilon=np.float32(0.1))
    write_page(view, tmp_path / "page.html", "a net")
    opened.open(tmp_path / "page.html", 1280, 900)
    images = [random.integers(0, 256, (9, 7, 3), "uint8") for _ in range(10)]
    expected = net(preprocess_images(images, view.rows, view.statistics, (6, 6, 3))).numpy()
    assert np.ptp(expected, axis=0).max() > 20 * EQUAL
    assert np.abs(answers(opened, images) - expected).max() < EQUAL


@needs_browser
def test_the_page_of_a_run_answers_as_the_run_and_loads_nothing(page, shown, small_run):
    run = load_run(small_run)
    view = of_run(small_run)
    for number in range(10):
        shown.value(f"byId('samples').children[{number}].onclick()")
        found = shown.value("Array.from(shown.results.at(-1))")
        index = shown.value(f"net.samples[{number}].index")
        expected = run.model(view.image(index)[None]).numpy()[0]
        assert np.abs(np.array(found) - expected).max() < EQUAL
        assert view.names[view.label(index)] in shown.value("byId('truth').textContent")
    assert shown.complaints() == []
    assert shown.requests() == [page.as_uri()]
    for width in (1280, 390):
        shown.open(page, width, 844)
        assert shown.value("document.documentElement.scrollWidth") <= width


@needs_browser
def test_a_clicked_map_shows_what_its_strongest_unit_sees_and_its_strongest_images(shown):
    shown.value("layers[3].draw(), layers[3].maps.children[2].click()")
    text = shown.value("document.querySelector('.detail p').textContent")
    values = shown.value("Array.from(layers[3].values)")
    shape = shown.value("layers[3].op.shape")
    maps = np.array(values).reshape(shape)[..., 2]
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    assert f"row {row}, column {column}" in text
    start, field, stride = shown.value("layers[3].op.span")
    top = max(0, start[0] + int(row) * stride[0])
    high = min(8, start[0] + int(row) * stride[0] + field[0]) - top
    assert f"It sees {high}×" in text
    shown.value("new Promise((end) => setTimeout(end, 200))")  # the picture is read
    assert shown.value("document.querySelectorAll('.best canvas').length") == 8
    shown.value("layers[3].maps.children[2].click()")
    assert shown.value("document.querySelector('.detail')") is None


@needs_browser
def test_the_grey_square_covers_as_occlusion_does(shown, small_run):
    view = of_run(small_run)
    shown.value("byId('samples').children[0].onclick()")
    shown.value("byId('cover').onclick()")
    left, top, side = shown.value(
        "(({left, top, width}) => [left, top, width])(byId('marks').getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseMoved", "mouseReleased"):
        at = {"x": left + 0.2 * side, "y": top + 0.4 * side}
        shown.ask("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, **at)
    shown.value("answer()")
    row, column, side = shown.value("[square.top, square.left, side()]")
    assert (row, column, side) == (2, 1, 2)  # the middle is at 0.2 and 0.4 of 8 pixels
    image = view.image(shown.value("net.samples[0].index")).copy()
    image[row : row + side, column : column + side] = view.grey()[
        row : row + side, column : column + side
    ]
    expected = view.probabilities(image)[0]
    bars = "[...byId('answer').children].map((x) => parseFloat(x.lastChild.textContent) / 100)"
    assert np.abs(np.array(shown.value(bars)) - expected).max() < EQUAL
    assert shown.value("byId('answer').querySelectorAll('.before').length") == 10
    assert shown.value("slide().then(() => heat.drops.length === heat.count ** 2)")
    shown.value("byId('samples').children[1].onclick()")  # the marks are of the new image
    uncovered = view.probabilities(view.image(shown.value("net.samples[1].index")))[0]
    assert (
        np.abs(np.array(shown.value("Array.from(shown.results.at(-1))")) - uncovered).max() < EQUAL
    )


@needs_browser
def test_a_drawn_stroke_fills_an_image_of_the_run(shown):
    shown.value("byId('draw').onclick()")
    left, top, side = shown.value(
        "(({left, top, width}) => [left, top, width])(byId('pad').getBoundingClientRect())"
    )
    for kind, at in (("mousePressed", 0.3), ("mouseMoved", 0.6), ("mouseReleased", 0.6)):
        place = {"x": left + 0.5 * side, "y": top + at * side}
        shown.ask("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, **place)
    shown.value("seeDrawing()")
    pixels = np.array(shown.value("Array.from(shown.picture.values)")).reshape(8, 8)
    assert (pixels[:, 3:5] > 150).all()  # light ink on dark paper, from edge to edge
    assert (pixels[:, [0, 7]] == 0).all()
    shown.value("layers[0].draw()")
    assert shown.value(INKED) == [True, True]
    shown.value("byId('clear').onclick()")
    assert shown.value(INKED) == [False, False]
    assert shown.value("byId('answer').children.length") == 0
    shown.value("layers[0].maps.firstChild.click()")  # there is nothing to show
    assert shown.value("document.querySelector('.detail')") is None
    assert "Runtime.exceptionThrown" not in [method for method, _ in shown.complaints()]


@needs_browser
def test_a_file_that_is_no_image_is_a_sentence_on_the_page(shown):
    def fault():
        return shown.value("byId('fault').hidden ? null : byId('fault').textContent")

    assert fault() is None
    shown.value("take(new File(['no image'], 'notes.txt'))")
    assert fault() == (
        "This browser cannot read notes.txt as an image; use a JPEG, PNG or WebP file."
    )
    shown.value("byId('samples').children[0].onclick()")
    assert fault() is None
    shown.value("document.ondrop(new DragEvent('drop', {dataTransfer: new DataTransfer()}))")
    assert fault() == "No file was dropped; drop an image file from a folder."


@needs_browser
def test_an_image_too_small_for_the_crop_is_a_sentence_on_the_page(opened, tmp_path):
    net = net_of("resnet_cifar")
    write_page(view_of(net, [{"op": "centre_crop", "size": 16}]), tmp_path / "p.html", "a net")
    opened.open(tmp_path / "p.html", 1280, 900)
    small = json.dumps(png(np.zeros((9, 40, 3), "uint8")))
    opened.value(
        f"take(new File([Uint8Array.from(atob({small}), (x) => x.charCodeAt(0))], 'small.png'))"
    )
    assert opened.value("byId('fault').textContent") == (
        "The run crops 16×16 pixels from an image, but this image has only 40×9; "
        "use a larger image."
    )


def test_drawings_are_like_the_images_of_the_run():
    image = np.full((20, 10, 1), 250, "uint8")
    image[5:15, 3:6] = 10
    found = drawing([image] * 3, (1, 1, 1))
    assert found == {"size": (20, 10), "share": 0.5, "paper": 250, "ink": 0}
    assert drawing([], (32, 32, 1)) == {"size": (32, 32), "share": 0.8, "paper": 255, "ink": 0}


def test_test_images_are_of_all_classes_and_as_many_as_fit(small_run):
    view = of_run(small_run)
    assert [one["label"] for one in samples(view, 10_000)] == [*range(10)] * 2
    assert [one["label"] for one in samples(view, 1000)] == [*range(5)]


def test_rounding_that_changes_answers_is_refused(monkeypatch):
    net = net_of("resnet_cifar")
    image = np.ones((16, 16, 3), "float32")
    before = [x.copy() for x in net.get_weights()]
    weights.check_rounding("a net", net, [image])
    monkeypatch.setattr(weights, "EQUAL", 0.0)
    with pytest.raises(InputError, match="16-bit weights, which change a probability"):
        weights.check_rounding("a net", net, [image])
    assert all((x == y).all() for x, y in zip(before, net.get_weights(), strict=True))


def test_bad_input_to_the_command_is_one_line(small_run, tmp_path):
    assert "no finished run" in refused("explain", tmp_path)
    assert "ends in .html" in refused("explain", small_run, "--out", tmp_path / "page.txt")
    assert "there is no folder" in refused("explain", small_run, "--out", tmp_path / "x" / "p.html")
    view = view_of(net_of("lenet5"), [{"op": "flip"}])
    with pytest.raises(InputError, match="cannot apply the test op flip, because it is random or"):
        write_page(view, tmp_path / "page.html", "a net")
