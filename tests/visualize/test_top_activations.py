"""Tests of top activations, occlusion and evolution: compared with NumPy on whole arrays."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_ilsvrc
from keras_ilsvrc.accounting import account
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.backward import deconvnet
from keras_ilsvrc.visualize.evolution import evolution
from keras_ilsvrc.visualize.occlusion import occlusion, steps
from keras_ilsvrc.visualize.probe import Probe
from keras_ilsvrc.visualize.top import Top, Windows, top_activations

SIZE = 20


@pytest.fixture
def net():
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 5, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(5, 3, activation="relu", padding="same", name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(4, name="scores")(x)
    return keras.Model(inputs, layers.Activation("softmax", name="predictions")(x), name="net")


def noise(count, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, SIZE, SIZE, 3)).astype("float32")


def test_the_strongest_are_those_of_the_whole_array(net):
    images = noise(70)
    found = top_activations(net, images, "conv2", [4, 1, 2], batch_size=16)
    strengths = Probe(net, "conv2").activations(images).numpy().max((1, 2))
    for row, number in enumerate([4, 1, 2]):
        order = np.argsort(-strengths[:, number])[:9]
        np.testing.assert_array_equal(found.indices[row], order)
        np.testing.assert_allclose(found.values[row], strengths[order, number], rtol=1e-5)


def test_patches_are_what_the_unit_sees_and_nothing_else(net):
    """Changing the image outside of the patch changes the activation not at all."""
    images = noise(30)
    found = top_activations(net, images, "conv2", [2], count=3)
    probe = Probe(net, "conv2")
    field = account(net).row("conv2").field
    for rank in range(3):
        top, left, height, width = found.windows[0, rank]
        assert (height, width) == field == (10, 10)
        image = images[found.indices[0, rank]]
        here = slice(top, top + height), slice(left, left + width)
        np.testing.assert_array_equal(found.patches[0, rank], image[here])
        changed = noise(1, seed=5)[0]
        changed[here] = image[here]
        before, after = probe.activations(np.stack([image, changed])).numpy()[..., 2]
        place = np.unravel_index(before.argmax(), before.shape)
        assert after[place] == pytest.approx(before[place], rel=1e-5)


def test_projections_are_the_deconvnets_cut_like_the_patches(net):
    images = noise(30)
    found = top_activations(net, images, "conv2", [0, 3], count=2)
    for row, number in enumerate([0, 3]):
        for rank in range(2):
            whole = deconvnet(net, images[found.indices[row, rank]], "conv2", number).images[0]
            top, left, height, width = found.windows[row, rank]
            here = whole[top : top + height, left : left + width]
            np.testing.assert_allclose(found.projections[row, rank], here, atol=1e-6)
            assert np.abs(whole).sum() == pytest.approx(np.abs(here).sum(), rel=1e-4)


def test_batches_arrays_and_data_sets_give_the_same(net):
    images = noise(25)
    expected = top_activations(net, images, "conv1", [0], batch_size=7)
    data = tf.data.Dataset.from_tensor_slices((images, np.zeros(25))).batch(10)
    for given in (data, iter([images[:20], images[20:]]), [images]):
        found = top_activations(net, given, "conv1", [0])
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.patches, expected.patches)


def test_one_image_alone_is_a_batch(net):
    image = noise(1)
    found = top_activations(net, image[0], "conv1", [0])
    np.testing.assert_array_equal(found.values, top_activations(net, image, "conv1", [0]).values)


def test_batches_may_be_lists_of_images_and_labels(net):
    images = noise(6)
    found = top_activations(net, [[images[:4], np.zeros(4)], [images[4:], np.zeros(2)]], "conv1")
    expected = top_activations(net, images, "conv1")
    np.testing.assert_array_equal(found.indices, expected.indices)


def test_a_net_for_images_of_any_size_is_looked_into():
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 5, 2, activation="relu", name="conv1")(x)
    x = layers.GlobalAveragePooling2D()(x)
    net = keras.Model(inputs, layers.Dense(2, activation="softmax")(x), name="net")
    images = noise(3)
    found = top_activations(net, images, "conv1", [1])
    assert found.patches.shape == (1, 3, SIZE, SIZE, 3)  # what a unit sees is not known
    place = deconvnet(net, images, "conv1", 1).places
    strengths = Probe(net, "conv1").activations(images).numpy()[..., 1]
    for number, expected in enumerate(strengths):
        assert tuple(place[number]) == np.unravel_index(expected.argmax(), expected.shape)
    assert occlusion(net, images[0]).probability.shape == (17, 17)
    with pytest.raises(InputError, match="different sizes"):
        top_activations(net, [images, np.zeros((1, 9, 9, 3), "float32")], "conv1", [1])


def test_only_the_strongest_images_are_held(net):
    """Of 40 batches, as many arrays stay as there are activations."""
    made, most = [], 0

    def batches():
        nonlocal most
        for number in range(40):
            batch = noise(8, number)
            made.append(weakref.ref(batch))
            yield batch
            del batch
            gc.collect(1)  # what is young; all modules would take half a second
            most = max(most, sum(each() is not None for each in made))

    top = Top(net, "conv1", [0, 1], count=3)
    _, indices, held = top._search(batches(), 8, lambda done: None)
    assert most <= 2
    assert set(held) == set(indices.reshape(-1))
    assert all(image.base is None for image in held.values())  # no batch behind it


def test_fewer_images_than_asked_for_are_all_there(net):
    found = top_activations(net, noise(4), "average", [1])
    assert sorted(found.indices[0]) == [0, 1, 2, 3]
    assert found.patches.shape == (1, 4, SIZE, SIZE, 3)  # a unit that sees everything


def test_windows_at_the_border_are_moved_inside():
    net = keras_ilsvrc.build("resnet20_cifar", input_shape=(16, 16, 1))
    windows = Windows(Probe(net, "conv2_2/relu_out"))
    row = account(net, opened=True).row("conv2_2/relu_out")
    size = 16, 16
    assert windows.of((0, 0), size)[:2] == (0, 0)
    assert windows.of((15, 15), size) == (16 - row.field[0], 16 - row.field[1], *row.field)
    assert windows.of((8, 8), size)[0] == row.start[0] + 8 * row.stride[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"layer": "convv2"}, "did you mean 'conv2'"),
        ({"maps": [5]}, "from 0 to 4"),
        ({"maps": []}, "from 0 to 4"),
        ({"maps": [0.5]}, "from 0 to 4"),
        ({"maps": "3"}, "from 0 to 4"),
        ({"maps": [[1], [2, 3]]}, "rows of different lengths"),
        ({"count": 0}, "count is 0"),
        ({"count": 1.5}, "count is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"layer": 3}, "has no layer 3"),
        ({"images": 3}, "images is a int"),
        ({"images": "photos"}, "images is a str"),
        ({"images": np.zeros((2, 8, 8, 3))}, "images are 8x8x3"),
        ({"images": []}, "images is empty"),
    ],
)
def test_bad_arguments_are_refused(net, arguments, said):
    given = {"images": noise(2), "layer": "conv2"} | arguments
    with pytest.raises(InputError, match=said):
        top_activations(net, **given)


def test_occlusion_records_what_the_net_says_of_every_covered_image(net):
    image = noise(1)[0]
    found = occlusion(net, image, 2, "conv2", square=6, stride=5, fill=0.5, batch_size=4)
    assert found.tops.tolist() == found.lefts.tolist() == [0, 5, 10, 14]
    maps = Probe(net, "conv2")
    totals = maps.activations(image[None]).numpy().sum((1, 2))[0]
    assert found.map == totals.argmax()
    for row, top in enumerate(found.tops):
        for column, left in enumerate(found.lefts):
            covered = image.copy()
            covered[top : top + 6, left : left + 6] = 0.5
            probabilities = net(covered[None]).numpy()[0]
            total = maps.activations(covered[None]).numpy()[0, ..., found.map].sum()
            assert found.probability[row, column] == pytest.approx(probabilities[2], rel=1e-4)
            assert found.labels[row, column] == probabilities.argmax()
            assert found.activation[row, column] == pytest.approx(total, rel=1e-4)


def test_a_square_of_what_is_there_already_changes_nothing(net):
    image = noise(1)[0]
    found = occlusion(net, image, fill=image)
    assert found.label == net(image[None]).numpy().argmax()
    np.testing.assert_allclose(found.probability, found.whole[0], rtol=1e-4)
    np.testing.assert_allclose(found.activation, found.whole[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("size", "square", "stride"), [(20, 4, 3), (20, 20, 1), (7, 3, 10), (9, 2, 1)]
)
def test_squares_reach_both_borders(size, square, stride):
    found = steps(size, square, stride)
    assert found[0] == 0
    assert found[-1] == size - square
    assert (np.diff(found) <= stride).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"square": 21}, "must fit into"),
        ({"stride": 0}, "must fit into"),
        ({"label": 4}, "from 0 to 3"),
        ({"label": 1.5}, "from 0 to 3"),
        ({"square": 2.5}, "must fit into"),
        ({"square": "a", "stride": 1}, "must fit into"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"layer": "scores"}, "returns shape"),
        ({"fill": [1, 2]}, "number for each of 3 channels"),
        ({"image": np.zeros((2, SIZE, SIZE, 3))}, "a batch of 2"),
    ],
)
def test_bad_arguments_of_occlusion_are_refused(net, arguments, said):
    with pytest.raises(InputError, match=said):
        occlusion(net, **({"image": noise(1)[0]} | arguments))


def test_evolution_is_the_top_activation_at_each_time(net, tmp_path):
    images, files = noise(12), {}
    before = net.get_weights()
    for number in range(3):
        files[f"epoch {number}"] = tmp_path / f"{number}.weights.h5"
        net.set_weights([w + 0.1 * number for w in before])
        net.save_weights(files[f"epoch {number}"])
    net.set_weights(before)
    found = evolution(net, files, images, "conv2", [0, 1])
    assert found.times == ("epoch 0", "epoch 1", "epoch 2")
    for number, top in enumerate(found.found):
        net.set_weights([w + 0.1 * number for w in before])
        expected = top_activations(net, images, "conv2", [0, 1], count=1)
        np.testing.assert_array_equal(top.indices, expected.indices)
        np.testing.assert_allclose(top.projections, expected.projections, atol=1e-6)


def test_evolution_leaves_the_model_as_it_was(net, tmp_path):
    before = net.get_weights()
    file = tmp_path / "ones.weights.h5"
    net.set_weights([np.ones_like(w) for w in before])
    net.save_weights(file)
    net.set_weights(before)
    evolution(net, {"ones": file}, noise(2), "conv1", [0])
    with pytest.raises(FileNotFoundError):
        evolution(net, {"none": tmp_path / "none.weights.h5"}, noise(2), "conv1", [0])
    for weight, was in zip(net.get_weights(), before):
        np.testing.assert_array_equal(weight, was)
    with pytest.raises(InputError, match="iterated several times"):
        evolution(net, {"ones": file}, iter([noise(2)]), "conv1", [0])
    with pytest.raises(InputError, match="weights is empty"):
        evolution(net, {}, noise(2), "conv1")
