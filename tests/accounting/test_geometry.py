"""Tests of receptive fields: compared with gradients of single units and a published table."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc.accounting import account
from keras_ilsvrc.layers import GroupedConv2D, LocalResponseNormalization, ResidualUnit
from keras_ilsvrc.layers.residual import FIGURE_4, SHORTCUTS

SHAPE = (21, 18, 2)
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def chain(*steps):
    """Layers or functions one after another."""

    def apply(x):
        for step in steps:
            x = step(x)
        return x

    return apply


def side_by_side(merge, *branches):
    return lambda x: merge([branch(x) for branch in branches])


def conv(kernel, strides=1, padding="valid", **options):
    return layers.Conv2D(2, kernel, strides, padding, **options)


def average(pool, strides=None, padding="valid"):
    return layers.AveragePooling2D(pool, strides, padding)


def nested(*steps, shape=SHAPE):
    image = keras.Input(shape)
    return keras.Model(image, chain(*steps)(image))


def squeezed(x):
    """Squeeze and excitation: every unit is multiplied by what all see."""
    gate = layers.GlobalAveragePooling2D()(x)
    gate = layers.Dense(2)(layers.Reshape((1, 1, 2))(gate))
    return layers.Multiply()([conv(3)(x)[:, :, :], gate])


# Each is called for its graph only, so that layers are new in every test.
GRAPHS = {
    "valid": lambda: conv(3),
    "valid, rows and columns differ": lambda: conv((2, 5), (2, 1)),
    "same": lambda: conv(5, padding="same"),
    "same, even kernel": lambda: conv((4, 2), padding="same"),
    "same, stride 2": lambda: conv(3, 2, "same"),
    "same, stride 3": lambda: conv((5, 4), 3, "same"),
    "same, kernel below its stride": lambda: conv(1, 2, "same"),
    "same, stacked": lambda: chain(conv(3, 2, "same"), conv(3, 2, "same"), conv(3, 1, "same")),
    "dilated": lambda: conv(3, dilation_rate=(2, 3)),
    "dilated, same": lambda: chain(conv(3), conv(3, 1, "same", dilation_rate=2)),
    "groups": lambda: GroupedConv2D(4, 3, 2, groups=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
    "separable": lambda: layers.SeparableConv2D(3, (3, 4), 2),
    "pool": lambda: average(3, 2),
    "pool, same": lambda: chain(average(3, 2, "same"), average(2)),
    "pool without strides": lambda: average((2, 3)),
    "pool operation": lambda: chain(lambda x: ops.average_pool(x, 3, 2, "same"), conv(3)),
    "zero padding": lambda: chain(layers.ZeroPadding2D(((0, 3), (2, 1))), conv(7, 2)),
    "zero padding after a stride": lambda: chain(conv(4, 3), layers.ZeroPadding2D(1), conv(3)),
    "pad operation": lambda: chain(
        conv(2, 2), lambda x: ops.pad(x, [(0, 0), (1, 0), (2, 1), (0, 3)]), conv(3)
    ),
    "cropping": lambda: chain(conv(2, 2), layers.Cropping2D(((1, 2), (0, 3))), conv(2)),
    "slice": lambda: chain(conv(3), lambda x: x[:, 2:-1, 1::3], conv(2)),
    "slice with an ellipsis": lambda: chain(conv(2), lambda x: x[:, 1:, ..., :1], conv(2)),
    "slice of maps": lambda: chain(conv(3), lambda x: x[..., 1:]),
    "rest of a dense stack": lambda: chain(
        layers.Rescaling(2.0),
        conv(3),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.5),
        LocalResponseNormalization(),
        layers.Dense(3),
        layers.LayerNormalization(scale=False),
        lambda x: ops.relu(2 * x + 30.0),
    ),
    "branches": lambda: chain(
        conv(3, 2),
        side_by_side(
            layers.Concatenate(),
            conv(1),
            conv((1, 5), padding="same"),
            chain(average(3, 1, "same"), conv(1)),
        ),
    ),
    "sum of windows side by side": lambda: side_by_side(
        layers.Add(), lambda x: x[:, :-4, :-4], lambda x: x[:, 4:, 4:]
    ),
    "sum operation": lambda: chain(conv(3, 2), lambda x: x[:, 1:] + x[:, :-1]),
    "squeeze": lambda: squeezed,
    "one row for all": lambda: side_by_side(layers.Add(), conv((SHAPE[0], 1)), lambda x: x),
    "nested": lambda: chain(conv(2, 2), nested(conv(3), average(2), shape=(None, None, 2))),
    "nested twice": lambda: chain(
        conv(3, 2), nested(nested(conv(3, 1, "same"), shape=(10, 8, 2)), shape=(10, 8, 2)), conv(3)
    ),
    "sequential": lambda: chain(conv(2, 2), keras.Sequential([conv(3), average(2)])),
    "shared": lambda: chain(*[conv(3, 2, "same")] * 2),
    "flatten": lambda: chain(conv(3, 2, "same"), layers.Flatten(), layers.Dense(2)),
    "global": lambda: chain(conv(3, 2), layers.GlobalAveragePooling2D()),
    "global, maps stay": lambda: chain(
        conv(3, 2), layers.GlobalAveragePooling2D(keepdims=True), conv(1)
    ),
    "global operation": lambda: chain(conv(3, 2), lambda x: ops.mean(x, axis=(1, 2))),
    "whole image": lambda: conv(SHAPE[:2]),
}
UNITS = {
    **{
        f"unit, {shortcut}, stride {stride}": lambda shortcut=shortcut, stride=stride: chain(
            conv(3, 2),
            ResidualUnit(f"conv3/{stride}-4 conv3-4", shortcut, batch_norm=BATCH_NORM),
        )
        for stride, shortcuts in ((2, SHORTCUTS), (1, ("none", "A", "C")))
        for shortcut in shortcuts
    },
    **{
        f"unit, {order}": lambda order=order: ResidualUnit(
            "conv1/2-2 conv3-2 conv1-4", order=order, batch_norm=BATCH_NORM
        )
        for order in FIGURE_4
    },
}


def make_positive(model):
    """Nothing is cut off by a ReLU, and nothing cancels."""
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if weight.name not in ("gamma", "beta"):
            weight.assign(random.uniform(0.5, 1, weight.shape) / np.prod(weight.shape[:-1]))


def pixels_seen(model, places):
    """For each place of the output the first and the last pixel it depends on, by axis."""
    import tensorflow as tf

    image = np.random.default_rng(1).uniform(1, 2, (1, *model.input_shape[1:]))

    # By XLA: the gradients by kernels of TensorFlow 2.21 and oneDNN, though nobody asks for them,
    # damage memory at stride 2 on some CPUs.
    @tf.function(jit_compile=True)
    def gradient(image, counted):
        with tf.GradientTape() as tape:
            tape.watch(image)
            total = tf.reduce_sum(counted * model(image)[0] ** 2)
        return tape.gradient(total, image)

    for place in places:
        counted = np.zeros(model.output_shape[1:], "float32")
        counted[place] = 1
        depends = gradient(tf.constant(image, "float32"), counted).numpy()[0].any(axis=-1)
        yield [(pixels.min(), pixels.max()) for pixels in depends.nonzero()]


def assert_sees_what_the_gradient_says(model):
    """In the first, the middle and the last place.

    Where a window reaches over the edge, it sees up to the last pixel that is used at all.
    """
    make_positive(model)
    row = account(model).rows[-1]
    is_map = len(row.size) == len(model.input_shape) - 1
    sizes = row.size[:-1] if is_map else ()
    places = [tuple(part * (size - 1) // 2 for size in sizes) for part in range(3)]
    used, *seen = pixels_seen(model, [..., *places])
    for place, found in zip(places, seen):
        place = place or (0,) * len(row.field)
        first = np.add(row.start, np.multiply(place, row.stride))
        last = first + row.field - 1
        assert found == [(max(f, u), min(n, v)) for f, n, (u, v) in zip(first, last, used)]


pytestmark = pytest.mark.tensorflow  # whose gradients the tests take
CASES = enumerate([*GRAPHS, *UNITS])  # every third runs by default


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (n % 3 > 0)) for n, x in CASES]
)
def test_a_unit_depends_on_its_window_and_on_no_other_pixel(name):
    image = keras.Input(SHAPE)
    output = {**GRAPHS, **UNITS}[name]()(image)
    assert_sees_what_the_gradient_says(keras.Model(image, output))


# google-research/receptive_field, RECEPTIVE_FIELD_TABLE.md and README.md (Araujo, Norris and Sim
# 2019), from TF-Slim's nets: receptive field, effective stride, effective padding.
PUBLISHED = {
    "alexnet": {
        "conv1": (11, 4, 0),
        "pool1": (19, 8, 0),
        "conv2": (51, 8, 16),
        "conv3": (99, 16, 32),
        "conv4": (131, 16, 48),
        "conv5": (163, 16, 64),
        "pool5": (195, 32, 64),
    },
    "vgg11": {"conv2_1": (8, 2, 3), "conv4_2": (62, 8, 27), "pool5": (150, 32, 59)},
    "vgg16": {"conv2_1": (10, 2, 4), "conv4_2": (76, 8, 34), "pool5": (212, 32, 90)},
    "resnet50": {"conv5_3": (483, 32, 239)},
    "resnet101": {"conv5_3": (1027, 32, 511)},
    "resnet152": {"conv5_3": (1507, 32, 751)},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_windows_are_those_of_the_published_table(name, told):
    for layer, (field, stride, padding) in PUBLISHED[name].items():
        row = told(name).row(layer)
        assert (row.field, row.stride, row.start) == ((field,) * 2, (stride,) * 2, (-padding,) * 2)


def last(graph, shape=SHAPE):
    image = keras.Input(shape)
    return account(keras.Model(image, graph(image))).rows[-1]


def test_where_strides_differ_a_unit_counts_as_seeing_all_that_any_sees():
    one, two = lambda x: conv(1)(x)[:, :8, :8], chain(conv(4, 2, "same"), lambda x: x[:, :8, :8])
    row = last(side_by_side(layers.Maximum(), one, two))
    assert (row.start, row.field, row.stride) == ((-1, -1), (7 * 2 + 4,) * 2, (0, 0))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_a_unit_over_time_depends_on_its_window(padding):
    image = keras.Input((17, 2))
    output = layers.Conv1D(2, 3, padding=padding, dilation_rate=2)(image)
    output = layers.Conv1D(2, 4)(layers.ZeroPadding1D((1, 2))(output))
    assert_sees_what_the_gradient_says(keras.Model(image, output))


def test_a_unit_in_a_volume_depends_on_its_window():
    image = keras.Input((7, 8, 9, 2))
    output = layers.Conv3D(2, (2, 3, 4), (1, 2, 1), padding="same")(image)
    output = layers.AveragePooling3D(2)(layers.Cropping3D(1)(output))
    assert_sees_what_the_gradient_says(keras.Model(image, output))


def test_layers_of_ours_tell_kernel_and_stride():
    class Windowed(layers.Layer):
        def call(self, x):
            return ops.average_pool(x, (4, 3), (2, 1), "valid")

        def window(self):
            return (4, 3), (2, 1)

    image = keras.Input(SHAPE)
    output = chain(conv(3, 2), Windowed(), conv(2))(image)
    assert_sees_what_the_gradient_says(keras.Model(image, output))


UNKNOWN = {
    "unknown layer": lambda: layers.Lambda(lambda x: ops.roll(x, 3, axis=1)),
    "unknown operation": lambda: lambda x: ops.flip(x, axis=1),
    "transposed": lambda: layers.Conv2DTranspose(2, 3, 2),
    "upsampling": lambda: layers.UpSampling2D(2),
    "one row": lambda: lambda x: x[:, 0],
    "backwards": lambda: lambda x: x[:, ::-1],
    "a new axis": lambda: lambda x: x[:, None],
    "reshaped": lambda: layers.Reshape((3, 7, 36)),
    "joined along the height": lambda: lambda x: ops.concatenate([x, x], axis=1),
    "mean along the height": lambda: lambda x: ops.mean(x, axis=1),
    "normalised along the height": lambda: layers.LayerNormalization(axis=1),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_none_and_stays_so(name):
    row = last(chain(UNKNOWN[name](), layers.Activation("relu"), layers.Flatten(), layers.Dense(1)))
    assert (row.field, row.stride, row.start) == (None, None, None)


def test_a_model_without_an_image_sees_none():
    assert last(chain(layers.Dense(3), layers.Dense(2)), (5,)).field == ()


def test_an_input_that_is_no_image_changes_no_window():
    image, age = keras.Input(SHAPE), keras.Input((1,))
    maps = layers.Flatten()(conv(3)(image))
    model = keras.Model([age, image], layers.Concatenate()([age, maps]))
    assert account(model).rows[-1].field == SHAPE[:2]


def test_windows_of_two_images_are_united():
    left, right = keras.Input(SHAPE), keras.Input(SHAPE)
    seen = layers.Add()([conv(3, 1, "same")(left), conv((1, 5), 1, "same")(right)])
    row = account(keras.Model([left, right], seen)).rows[-1]
    assert (row.start, row.field) == ((-1, -2), (3, 5))
