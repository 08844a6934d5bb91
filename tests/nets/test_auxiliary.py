"""Tests of auxiliary classifiers: where gradients go, and which weights inference needs."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import build
from keras_ilsvrc.layers.graph import leaves

# The smallest image of each net with them, and behind which maps each head stands.
NETS = {
    "googlenet": (79, {"aux1": "inception_4a", "aux2": "inception_4d"}),
    "googlenet_bn": (79, {"aux1": "inception_4a", "aux2": "inception_4d"}),
    "inception_v3": (299, {"aux": "mixed_6e"}),
    "cnds8": (31, {"aux": "conv3_2"}),
}
each_net = pytest.mark.parametrize("name", NETS)
SLOW = ("inception_v3", "googlenet_bn")  # images of 299x299; heads as those of googlenet
each_computed = pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in NETS]
)


def image(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


def training_form(name, classes=3):
    size = NETS[name][0]
    return build(name, auxiliary=True, input_shape=(size, size, 3), classes=classes)


def between(model, output):
    """The names of all layers from the image to an output."""
    return {layer.name for layer in keras.Model(model.input, output).layers}


@each_net
def test_heads_stand_behind_the_maps_of_the_paper(name, unallocated):
    size, heads = NETS[name]
    model = unallocated(name, auxiliary=True, input_shape=(size, size, 3))
    for head, maps in heads.items():
        assert model.get_layer(f"{head}_pool").input is model.get_layer(maps).output
        own = {layer for layer in between(model, model.output[head]) if layer.startswith(head)}
        trunk = between(model, model.get_layer(maps).output)
        assert between(model, model.output[head]) == trunk | own
    main = between(model, model.output["predictions"])
    assert not any(layer.startswith("aux") for layer in main)


@pytest.mark.tensorflow
@each_computed
@pytest.mark.usefixtures("quick_values")
def test_heads_feed_gradients_to_all_kernels_below_them_and_to_no_other(name):
    import tensorflow as tf

    model = training_form(name)
    x, label = image(1, *model.input_shape[1:]), np.array([1])
    kernels = {layer.name: layer.kernel for layer in leaves(model) if hasattr(layer, "kernel")}
    values = {key: kernel.value for key, kernel in kernels.items()}
    with tf.GradientTape(persistent=True) as tape:
        results = model(x)  # not in training: dropout, and BN of a single 1x1 map, stop all
        losses = {
            head: keras.losses.sparse_categorical_crossentropy(label, result)
            for head, result in results.items()
        }
    for head, loss in losses.items():
        assert np.isfinite(loss).all()
        below = between(model, model.output[head]) & set(kernels)
        gradients = tape.gradient(loss, values)
        assert {key for key, gradient in gradients.items() if gradient is not None} == below
        still = [key for key in below if not np.any(gradients[key])]
        assert still == []


@each_computed
@pytest.mark.usefixtures("quick_values")
def test_inference_keeps_the_weights_of_training(name, unallocated):
    model = training_form(name)
    x = image(2 if name != "inception_v3" else 1, *model.input_shape[1:])
    results = model(x)
    assert list(results) == ["predictions", *NETS[name][1]]
    for result in results.values():
        assert result.shape == (len(x), 3)
        np.testing.assert_allclose(numpy(result).sum(-1), 1, rtol=1e-5)
    inference = keras.Model(model.input, model.get_layer("predictions").output)
    kept = {id(weight) for weight in inference.weights}
    assert kept < {id(weight) for weight in model.weights}
    alone = unallocated(name, input_shape=model.input_shape[1:], classes=3)
    assert [layer.name for layer in alone.layers] == [layer.name for layer in inference.layers]
    if name != "inception_v3":  # of 299x299
        alone = build(name, input_shape=model.input_shape[1:], classes=3)
        alone.set_weights([numpy(weight) for weight in inference.weights])
        np.testing.assert_allclose(numpy(alone(x)), numpy(results["predictions"]), rtol=1e-5)
    weight = inference.trainable_weights[0]
    weight.assign(weight + 0.5)
    changed = numpy(model(x)["predictions"])
    assert (changed != numpy(results["predictions"])).any()
    np.testing.assert_allclose(numpy(inference(x)), changed, rtol=1e-5)


def test_auxiliary_bn_stands_behind_the_convolution_and_the_1024_units(unallocated):
    """BN-auxiliary of arXiv:1512.00567, in GoogLeNet's own heads."""
    options = {"auxiliary": True, "input_shape": (79, 79, 3)}
    names = [layer.name for layer in unallocated("googlenet", **options).layers]
    normed = unallocated("googlenet", auxiliary_bn=True, **options)
    found = {layer.name for layer in normed.layers} - set(names)
    ends = [f"{layer}_{end}" for layer in ("conv", "fc") for end in ("bn", "relu")]
    assert found == {f"{head}_{end}" for head in ("aux1", "aux2") for end in ends}
    for head in ("aux1", "aux2"):
        assert not normed.get_layer(f"{head}_conv").use_bias
        assert not normed.get_layer(f"{head}_fc").use_bias
        assert normed.get_layer(f"{head}_drop").input is normed.get_layer(f"{head}_fc_relu").output


def test_auxiliary_bn_of_cnds_stands_behind_the_convolution_and_both_layers_of_1024_units(
    unallocated,
):
    """The convolution of this branch has no ReLU, with and without it."""
    normed = unallocated("cnds8", auxiliary=True, auxiliary_bn=True, input_shape=(67, 67, 3))
    names = [layer.name for layer in normed.layers if layer.name.startswith("aux_")]
    assert " ".join(names).replace("aux_", "") == (
        "pool conv conv_bn flatten fc6 fc6_bn fc6_relu drop6 fc7 fc7_bn fc7_relu drop7 logits"
    )
    for name in ("aux_conv", "aux_fc6", "aux_fc7"):
        assert not normed.get_layer(name).use_bias
        assert normed.get_layer(f"{name}_bn").input is normed.get_layer(name).output
    main = [layer.name for layer in normed.layers if not layer.name.startswith("aux")]
    assert not any(name.endswith("_bn") for name in main)


def test_width_leaves_the_heads_of_googlenet_as_they_are(unallocated):
    model = unallocated("googlenet", auxiliary=True, width=0.5, input_shape=(79, 79, 3))
    assert model.get_layer("aux1_pool").output.shape[-1] == 256
    assert model.get_layer("aux1_conv").filters == 128
    assert model.get_layer("aux1_fc").units == 1024
