"""Tests of published PyTorch files: each is recognised, and its values reach the right weights."""

import numpy as np
import originals
import originals_more as more
import pytest
from keras import ops

from keras_ilsvrc import InputError, build, info
from keras_ilsvrc.nets.deferred import Deferred
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.sources import akamaster, pytorchcv, sources_of, timm, torchvision

SOURCES = [
    source for module in (torchvision, timm, pytorchcv, akamaster) for source in module.SOURCES
]
ZFNETS = {"zfnet": (96, 256, 384, 384, 256), "zfnet_512": (96, 256, 512, 1024, 512)}


@pytest.fixture(scope="module")
def inception():
    return build("inception_v3_tv", input_shape=(75, 75, 3))


def entries(source, inception):
    """The tensors of a published file."""
    net, digits = source.net, "".join(filter(str.isdigit, source.net.partition("_")[0]))
    match source.name, net.rstrip("0123456789").partition("_")[0].rstrip("0123456789"):
        case ("torchvision" | "timm", "inception"):
            return more.inception_v3(inception, auxiliary=source.name == "torchvision")
        case (_, "alexnet"):
            return originals.alexnet()
        case (_, "googlenet"):
            return originals.googlenet()
        case (_, "bn"):
            return originals.bninception()
        case (_, "zfnet"):
            return more.zfnet(ZFNETS[net])
        case (_, "nin"):
            return more.nin()
        case (name, "vgg"):
            build_vgg = originals.timm_vgg if name == "timm" else originals.vgg
            return build_vgg(int(digits), batch_norm=net.endswith("_bn"))
    if net.endswith("_v2_cifar"):
        return more.preresnet(int(digits))
    if net.endswith("_cifar"):
        return originals.cifar(int(digits), option_a=source.name == "akamaster")
    return (more.pytorchcv_resnet if source.name == "pytorchcv" else originals.resnet)(int(digits))


def zeros(found):
    """A state of zeros, which need no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape, _ in found}


@pytest.mark.parametrize(
    "source",
    [pytest.param(x, marks=[pytest.mark.slow] if "1202" in x.net else []) for x in SOURCES],
    ids=[f"{x.name}-{x.net}" for x in SOURCES],
)
def test_a_published_file_is_recognised_with_and_without_its_classifier(source, inception):
    found, classes = entries(source, inception), info(source.net).classes
    matches = recognise(zeros(found), source.net)
    assert (source, classes) in matches
    assert sources_of(source.net)[source.name] == source
    headless = [e for e in found if e.path and not e.path.startswith(("logits", "fc", "cccp6"))]
    assert (source, None) in recognise(zeros(headless), source.net)
    assert recognise(zeros(found[1:])) == []
    digits = source.file.rpartition("-")[2].partition(".")[0]
    if source.sha256 and source.name in ("torchvision", "torchvision_v2", "akamaster"):
        assert source.sha256.startswith(digits)


def converted(values, maps):
    """Values in Keras' order of axes; `maps` is the shape of the maps that are flattened."""
    if values.ndim == 4:
        return values.transpose(2, 3, 1, 0)
    if maps is None or values.ndim < 2:
        return values.T
    height, width, channels = maps
    cube = values.reshape(-1, channels, height, width)
    return cube.transpose(2, 3, 1, 0).reshape(-1, len(values))


SMALL = {"input_shape": (32, 32, 3)}
SLOW = ("alexnet", "vgg_bn", "zfnet", "resnet50")  # large, and like others
ZF = (96, 256, 384, 384, 256)
# {case: source, net, size of images, tensors, maps before dense layers, variations}
CASES = {
    "alexnet": ("torchvision", "alexnet_owt", 95, lambda: originals.alexnet(2), (2, 2, 256), {}),
    "vgg_bn": ("torchvision", "vgg11_bn", 64, lambda: originals.vgg(11, True, 2), (2, 2, 512), {}),
    "timm": ("timm_vgg", "vgg11", 64, lambda: originals.timm_vgg(11, False, 2), (2, 2, 512), {}),
    "googlenet": (
        *("torchvision", "googlenet_bn", 79, originals.googlenet),
        *((4, 4, 128), {"auxiliary": True}),
    ),
    "resnet18": ("torchvision", "resnet18_v1_5", 32, lambda: originals.resnet(18), None, {}),
    "resnet50": ("torchvision", "resnet50_v1_5", 32, lambda: originals.resnet(50), None, {}),
    "zfnet": ("pytorchcv", "zfnet", 95, lambda: more.zfnet(ZF, 2), (2, 2, 256), {}),
    "nin": ("pytorchcv", "nin_cifar10", 32, more.nin, None, {}),
    "bninception": ("pytorchcv", "bn_inception", 32, originals.bninception, None, {}),
    "b": (
        *("pytorchcv", "resnet20_cifar", 32, lambda: originals.cifar(20, False)),
        *(None, {"shortcut": "B"}),
    ),
    "preact": (
        *("pytorchcv_preact", "resnet20_v2_cifar", 32, lambda: more.preresnet(20)),
        *(None, {"shortcut": "B"}),
    ),
}


def state_of(found):
    random = np.random.default_rng(0)
    return {name: random.random(shape, "float32") for name, shape, _ in found}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "case",
    [pytest.param(x, marks=[pytest.mark.slow] if x in SLOW else []) for x in CASES],
)
def test_each_value_goes_to_its_place(case):
    layout, net, size, tensors, maps, variations = CASES[case]
    found = tensors()
    state = state_of(found)
    with Deferred():
        model = build(net, input_shape=(size, size, 3), **variations)
        report = assign(model, {f"module.{name}": values for name, values in state.items()}, layout)
    names = {path: name for name, _, path in found if path}
    assert {row.ours for row in report.rows} == {weight.path for weight in model.weights}
    for weight in model.weights:
        flat = maps if weight.path in ("fc6/kernel", "aux1_fc/kernel", "aux2_fc/kernel") else None
        expected = converted(state[names[weight.path]], flat).reshape(weight.shape)
        bias = f"{weight.path.removesuffix('_bn/moving_mean')}/bias"
        if case == "bninception" and bias in names:
            expected = expected - state[names[bias]]
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), expected, weight.path)


@pytest.mark.tensorflow
def test_auxiliary_classifiers_that_the_model_lacks_are_left_out(inception):
    found = more.inception_v3(inception)
    state = state_of(found)
    report = assign(inception, state, "torchvision")
    left_out = [e.name for e in found if e.path and e.path.startswith("aux")]
    assert (list(report.left_out), report.kept) == (left_out, ())
    for row in report.rows:
        values = ops.convert_to_numpy(next(w for w in inception.weights if w.path == row.ours))
        np.testing.assert_array_equal(values, converted(state[row.theirs], None))
    assert f"unused tensors of the file: {left_out[0]}, " in str(report)


def akamaster_logits(state, x, depth):
    """Logits of akamaster's net, whose option A adds maps of zeros before and after the others."""
    state = {name.removeprefix("module."): values for name, values in state.items()}

    def convolved(x, place, stride=1):
        x = ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        return ops.conv(x, state[f"{place}.weight"].transpose(2, 3, 1, 0), stride, "valid")

    def normalised(x, place):
        words = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (state[f"{place}.{word}"] for word in words)
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    x = ops.relu(normalised(convolved(x, "conv1"), "bn1"))
    for stage in (1, 2, 3):
        for unit in range((depth - 2) // 6):
            place, stride = f"layer{stage}.{unit}", 2 if stage > 1 and unit == 0 else 1
            y = convolved(x, f"{place}.conv1", stride)
            y = convolved(ops.relu(normalised(y, f"{place}.bn1")), f"{place}.conv2")
            y = normalised(y, f"{place}.bn2")
            added = (y.shape[-1] - x.shape[-1]) // 2
            x = ops.pad(x[:, ::stride, ::stride], [(0, 0), (0, 0), (0, 0), (added, added)])
            x = ops.relu(y + x)
    return ops.mean(x, (1, 2)) @ state["linear.weight"].T + state["linear.bias"]


@pytest.mark.tensorflow
def test_akamasters_option_a_is_ours_with_its_maps_in_another_order():
    state = state_of(originals.cifar(20, option_a=True))
    state = {name: x - 0.5 if x.ndim == 4 else x + 0.5 for name, x in state.items()}
    model = build("resnet20_cifar", input_shape=(16, 16, 3), classifier_activation=None)
    report = assign(model, state, "akamaster")
    assert ("transposed", "channels permuted") in {row.steps for row in report.rows}
    images = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    expected = akamaster_logits(state, images, 20)
    assert check(model(images), expected) < 1e-5


@pytest.fixture(scope="module")
def resnet18():
    return state_of(originals.resnet(18))


@pytest.mark.tensorflow
@pytest.mark.parametrize(("options", "left", "kept"), [({"classes": 10}, 2, 2), ({}, 0, 0)])
def test_without_head_a_classifier_of_other_classes_keeps_its_values(options, left, kept, resnet18):
    model = build("resnet18_v1_5", **SMALL, **options)
    before = ops.convert_to_numpy(model.get_layer("logits").kernel)
    report = assign(model, resnet18, "torchvision", head=False)
    assert report.left_out == ("fc.weight", "fc.bias")[:left]
    assert report.kept == ("logits/kernel", "logits/bias")[:kept]
    assert np.array_equal(before, model.get_layer("logits").kernel) == bool(kept)
    np.testing.assert_array_equal(
        model.get_layer("conv1").kernel, converted(resnet18["conv1.weight"], None)
    )


@pytest.mark.tensorflow
def test_a_net_without_top_needs_no_tensors_of_the_top(resnet18):
    model = build("resnet18_v1_5", **SMALL, include_top=False)
    assert assign(model, resnet18, "torchvision", head=False).left_out == ("fc.weight", "fc.bias")
    with Deferred():
        vgg = build("vgg11", **SMALL, include_top=False)
        report = assign(vgg, zeros(originals.vgg(11)), "torchvision", head=False)
    assert report.left_out == tuple(e.name for e in originals.vgg(11) if "classifier" in e.name)
    with pytest.raises(InputError, match=r"no weight for fc.weight, fc.bias; the tensors are"):
        assign(model, resnet18, "torchvision")


def changed(state, key, values):
    return {**state, key: np.asarray(values, "float32")}


WRONG = {
    "classes": (
        lambda state: state,
        r"shapes differ: fc.weight \(512, 1000\), expected \(512, 10\) for logits/kernel, .*"
        "the weights are for 1000 classes, but resnet18_v1_5 has 10; load them without the "
        "classifier, or build the net with classes=1000",
    ),
    "net": (
        lambda state: zeros(originals.resnet(34)),
        "no weight for layer1.2.conv1.weight, .* the tensors are those of resnet34_v1_5, but the "
        "model is resnet18_v1_5",
    ),
    "width": (
        lambda state: changed(state, "conv1.weight", np.zeros((32, 3, 7, 7))),
        r"shapes differ: conv1.weight \(7, 7, 3, 32\), expected \(7, 7, 3, 64\) for conv1/kernel.*"
        "; use weights of the same net",
    ),
    "values": (
        lambda state: changed(state, "layer4.1.bn2.bias", [np.nan] * 512),
        "a value of layer4.1.bn2.bias is not finite; use another copy",
    ),
    "large values": (
        lambda state: {**state, "bn1.bias": np.full(64, 1e300)},
        "a value of bn1.bias is not finite",
    ),
    "type": (
        lambda state: {**state, "bn1.bias": np.full(64, True)},
        "bn1.bias has values of type bool, expected numbers; convert them to float32",
    ),
}


@pytest.fixture(scope="module")
def unchanged():
    return build("resnet18_v1_5", **SMALL)


@pytest.mark.tensorflow
@pytest.mark.parametrize("fault", WRONG)
def test_what_does_not_fit_is_refused_and_changes_nothing(fault, resnet18, unchanged):
    change, message = WRONG[fault]
    model = build("resnet18_v1_5", **SMALL, classes=10) if fault == "classes" else unchanged
    before = [ops.convert_to_numpy(weight) for weight in model.weights]
    with pytest.raises(InputError, match=message) as caught:
        assign(model, change(resnet18), "torchvision")
    assert "\n" not in str(caught.value)
    for old, weight in zip(before, model.weights):
        np.testing.assert_array_equal(old, weight)


def test_an_unknown_layout_is_named():
    with pytest.raises(
        InputError, match="layout is 'torch'; did you mean 'pytorchcv' or 'torchvision'"
    ):
        assign(None, {}, "torch")


RECOMMENDED = {
    **dict.fromkeys(("vgg16", "vgg19_bn", "googlenet_bn", "inception_v3_tv"), "torchvision"),
    **dict.fromkeys(("alexnet_owt", "resnet50_v1_5"), "torchvision"),
    **dict.fromkeys(("alexnet", "caffenet", "googlenet", "resnet50", "resnet152", "nin"), "caffe"),
    **dict.fromkeys(("resnet50_keras", "resnet50_v2_keras", "inception_v3"), "keras"),
}


@pytest.mark.parametrize("net", [*RECOMMENDED, "resnet20_cifar", "vgg13_5x5"])
def test_the_recommended_weights_are_those_of_the_original_or_a_framework(net):
    found = sources_of(net).get("imagenet")
    assert (found and found.name) == RECOMMENDED.get(net)
