"""Tests of loaded runs: predictions after the run was moved, all kinds of images, and errors."""

import dataclasses
import shutil

import fresh
import keras
import numpy as np
import pytest
from PIL import Image
from small import as_made

import keras_ilsvrc
from keras_ilsvrc import InputError
from keras_ilsvrc.accounting import account
from keras_ilsvrc.report import report
from keras_ilsvrc.runs.evaluate import errors_of, restore
from keras_ilsvrc.runs.inspection import of_run
from keras_ilsvrc.runs.loaded import load_net

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def moved(first_runs, tmp_path_factory):
    """A run on photographs that was moved and whose images are gone, and their new place."""
    folder, runs = tmp_path_factory.mktemp("moved"), as_made(first_runs)
    before = errors_of([restore(runs / "finished")])
    shutil.move(runs / "finished", folder / "a name with spaces")
    shutil.move(runs / "photos", folder / "elsewhere")
    return folder / "a name with spaces", folder / "elsewhere", before


@pytest.fixture(scope="module")
def loaded(moved):
    return keras_ilsvrc.load_run(str(moved[0]))


@pytest.fixture(scope="module")
def files(moved):
    return sorted(moved[1].glob("test/*/*.jpg"))


def arrays(files):
    return [np.array(Image.open(file)) for file in files]


def test_a_notebook_shows_a_run_as_a_short_table(moved, loaded):
    page, error = loaded._repr_html_(), moved[2]["top1_error"]
    assert "<th>classes</th><td>2: dark, light</td>" in page
    assert f"<th>test error</th><td>{error:.2f} %</td>" in page
    parameters = sum(row.parameters for row in account(loaded.model).rows)
    assert f"<th>parameters</th><td>{parameters:,}</td>" in page
    assert page.count("<tr>") == 5
    many = dataclasses.replace(loaded, classes=tuple(map("<{}>".format, range(1000))), error=None)
    assert "&lt;9&gt;, ...</td>" in many._repr_html_()
    assert many._repr_html_().count("<tr>") == 4


def test_a_moved_run_gives_the_probabilities_that_it_was_tested_with(moved, loaded, files):
    expected = moved[2]["probabilities"]
    assert loaded.classes == ("dark", "light")
    found = loaded.predict(files, top=2)
    assert [answer.image for answer in found] == list(map(str, files))
    for answer, row in zip(found, expected, strict=True):
        by_name = dict(answer.guesses)
        np.testing.assert_allclose([by_name["dark"], by_name["light"]], row, atol=1e-6)
        assert answer.guesses[0].probability == pytest.approx(row.max(), abs=1e-6)
    np.testing.assert_allclose(
        loaded.model.predict(loaded.preprocess(files), verbose=0), expected, atol=1e-6
    )


def test_arrays_of_any_size_are_images_too(loaded, files):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), "uint8") for size in ((9, 30), (40, 8), (1, 1))]
    together = loaded.predict(images)
    alone = [loaded.predict(image)[0] for image in images]
    assert [x.image for x in together] == ["0", "1", "2"]
    assert [x.image for x in loaded.predict([files[0], images[0]])] == [str(files[0]), "1"]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(
            [x.probability for x in one.guesses], [x.probability for x in other.guesses], atol=1e-6
        )
    grey = images[0][..., 0]
    np.testing.assert_array_equal(
        loaded.preprocess(grey), loaded.preprocess(np.stack([grey] * 3, -1)[None])
    )
    assert loaded.preprocess([]).shape == (0, 8, 8, 3)


@pytest.mark.parametrize("size", [None, 1])
def test_preprocessing_inside_the_model_is_that_outside(loaded, size, tmp_path):
    whole = loaded.model_with_preprocessing(size)
    whole.save(tmp_path / "whole.keras")
    again = keras_ilsvrc.load_model(tmp_path / "whole.keras")
    random = np.random.default_rng(0)
    for count, height, width in ((1, 20, 31), (1 if size else 3, 64, 9)):
        images = random.integers(0, 256, (count, height, width, 3), "uint8")
        expected = keras.ops.convert_to_numpy(loaded.model(loaded.preprocess(images)))
        for model in (whole, again):
            found = keras.ops.convert_to_numpy(model(images))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_a_saved_model_with_preprocessing_is_loaded_in_a_new_process(loaded, tmp_path):
    loaded.model_with_preprocessing().save(tmp_path / "whole.keras")
    image = np.full((1, 12, 12, 3), 77, "uint8")
    script = f"""
import keras_ilsvrc, numpy as np
model = keras_ilsvrc.load_model({str(tmp_path / "whole.keras")!r})
print(float(model(np.full((1, 12, 12, 3), 77, "uint8"))[0, 0]))
"""
    expected = loaded.model(loaded.preprocess(image))[0, 0]
    assert float(fresh.said(script)) == pytest.approx(float(expected), abs=1e-6)


def test_what_is_no_image_is_refused_in_one_line(loaded, files, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(files[0].read_bytes()[:-100])
    for images, part in (
        (np.zeros((8, 8, 3), "float32"), "images[0] has shape 8x8x3 and dtype float32"),
        ([files[0], np.zeros((8, 8, 4), "uint8")], "images[1] has shape 8x8x4"),
        (7, "images has the type int"),
        (tmp_path / "none.jpg", f"{tmp_path / 'none.jpg'}: cannot be read"),
        ([files[0], tmp_path / "page.jpg"], "looks like an HTML page"),
        (cut, "truncated JPEG"),
    ):
        for use in (loaded.predict, loaded.preprocess):
            with pytest.raises(InputError) as caught:
                use(images)
            assert part in str(caught.value)
            assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="top is 0"):
        loaded.predict(files, top=0)


def test_images_of_another_size_are_refused_if_no_op_resizes_them(small_run):
    """The run on digits has no op that does."""
    digits = keras_ilsvrc.load_run(small_run)
    with pytest.raises(InputError, match=r"images\[1\]: expected 8x8 pixels"):
        digits.predict([np.zeros((8, 8), "uint8"), np.zeros((9, 8), "uint8")])
    assert digits.model_with_preprocessing().input_shape == (None, 8, 8, 1)


def test_what_an_op_rejects_or_does_not_resize_enough_is_said(loaded, tmp_path):
    crop = [{"op": "centre_crop", "size": 8}]
    wide = [{"op": "resize_shorter", "size": 8}]
    for rows, part in ((crop, "crop"), (wide, r"expected 8x8 pixels .* found 8x16")):
        net = dataclasses.replace(loaded, rows=rows)
        image = np.zeros((4, 8, 3), "uint8")
        Image.fromarray(image).save(tmp_path / "small.png")
        for one in (image, tmp_path / "small.png"):
            with pytest.raises(InputError, match=part):
                net.predict(one)


def test_a_file_that_can_be_read_only_later_is_not_blamed_for_its_size(loaded, files, monkeypatch):
    """The batches leave it out, for example because its disk did not answer."""
    monkeypatch.setattr("keras_ilsvrc.runs.loaded.readable_batches", lambda *rest: ())
    lines = []
    assert list(loaded.answers(files[:1], 1, lines.append)) == []
    assert lines == [f"{files[0]}: could not be read at first, but can be read now; try again"]


def test_a_global_precision_is_left_as_it_is(moved, set_policy):
    set_policy("mixed_float16")
    assert keras_ilsvrc.load_run(moved[0]).model.get_layer("conv1").compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "mixed_float16"


def test_a_moved_run_is_evaluated_at_the_new_place_of_its_images(moved, tmp_path, capfd):
    path, photos, before = moved
    with pytest.raises(InputError, match=r"no such folder.*pass --data SOURCE"):
        restore(path)
    again = errors_of([restore(path, dataset=f"folder:{photos}")])
    np.testing.assert_array_equal(again["probabilities"], before["probabilities"])
    assert capfd.readouterr().err == ""

    other = shutil.copytree(photos, tmp_path / "other")
    (other / "test/dark/0.jpg").unlink()
    assert errors_of([restore(path, dataset=f"folder:{other}")])["images"] == 5
    (line,) = capfd.readouterr().err.splitlines()
    assert "test had 6 images and now has 5" in line
    for part in other.iterdir():
        (part / "dark").rename(part / "zebra")
    with pytest.raises(InputError, match="class 0 was 'dark' and is now 'light'"):
        restore(path, dataset=f"folder:{other}")


def test_a_report_without_images_shows_all_else(moved, tmp_path, capfd):
    page = report(moved[0], tmp_path / "page.html").read_text()
    assert "without images: " in capfd.readouterr().err
    for title in ("Summary", "Learning", "First filters", "Recipe"):
        assert f"<h2>{title}</h2>" in page
    for title in ("Confusions", "Occlusion", "Top activations"):
        assert f"<h2>{title}</h2>" not in page
    assert "24 training, 6 validation, 6 test images" in page


def test_given_images_are_looked_into_without_the_data(moved, files):
    view = of_run(moved[0])
    probabilities = view.probabilities(view.image(files[0])[None])[0]
    best = int(probabilities.argmax())
    percent = f"{100 * probabilities[best]:.0f} %"
    predicted = f"predicted {('dark', 'light')[best]} {percent}"
    assert view.caption(files[0], probabilities) == f"0.jpg\n{predicted}"
    with pytest.raises(InputError, match="--image FILE"):
        view.image(0)
    with_labels = of_run(moved[0], f"folder:{moved[1]}")
    assert with_labels.caption(0, probabilities) == f"image 0\ntrue dark, {predicted}"


def test_a_class_is_chosen_by_name_or_index(moved):
    view = of_run(moved[0])
    assert [view.class_index(x) for x in ("dark", "light", "1")] == [0, 1, 1]
    with pytest.raises(InputError, match=r"--class is 'lihgt'.*'light'"):
        view.class_index("lihgt")
    with pytest.raises(InputError, match=r"--class is '2'; expected a class name or 0 to 1"):
        view.class_index("2")


def test_a_net_with_weights_from_a_file_needs_no_run(loaded, tmp_path):
    path = tmp_path / "net.weights.h5"
    keras_ilsvrc.build("resnet20_cifar").save_weights(path)
    net = load_net("resnet20_cifar", path, "tf")
    (answer,) = net.predict(np.zeros((50, 40, 3), "uint8"), top=3)
    assert [len(answer.guesses), len(net.classes)] == [3, 10]
    assert net.preprocess(np.full((50, 40, 3), 255, "uint8")).max() == 1.0


def test_visualize_is_an_attribute_of_the_package():
    assert keras_ilsvrc.visualize.grad_cam
    with pytest.raises(AttributeError, match="visualise"):
        keras_ilsvrc.visualise  # noqa: B018
