"""The table of all nets. Imports only the standard library, so that listing is fast."""

from dataclasses import replace
from typing import Any

from keras_ilsvrc.nets import families as f
from keras_ilsvrc.nets import inception_families as i
from keras_ilsvrc.nets import residual_families as r

CROP = "single_view"
PLAIN: dict[str, Any] = {"shortcut": "none", "gate_bias": -6.0}

# fmt: off
# Trainable parameters; published top-1 and top-5 error of a single net in %, and the protocol.
TABLE = {
    "lenet5": f.LENET.net(60_000, (0.95, None, "MNIST"), departs=(
        "trained with any optimizer; the authors' is stochastic diagonal Levenberg-Marquardt",)),
    "lenet5_modern": replace(f.LENET, builder="lenet:lenet5_modern").net(61_706, departs=(
        "the simplified net usually called LeNet-5: every map of C3 sees all of S2, pools have no "
        "coefficients, and a softmax replaces the distances to drawn digits",)),
    "alexnet": f.ALEXNET.net(60_965_224, (40.7, 18.2, "ten_crop")),
    "caffenet": f.CAFFENET.net(60_965_224, (42.6, 19.6, CROP)),
    "alexnet_owt": f.ONE_WEIRD_TRICK.net(61_100_840, (43.478, 20.934, CROP)),
    "zfnet": f.ZFNET.net(62_357_608, (38.4, 16.5, "not stated"), form="a"),
    "zfnet_512": f.ZFNET.net(107_627_624, (37.5, 16.0, "not stated"), form="b"),
    "zfnet512_onnx": f.ZFNET_ONNX.net(87_250_536, (44.03, 20.59, CROP), form="onnx"),
    "nin": f.NIN.net(7_595_176),
    "nin_cifar10": f.NIN_CIFAR.net(966_986, (10.41, None, CROP)),
    "vgg11": f.VGG.net(132_863_336, (29.6, 10.4, "dense"), configuration="A"),
    "vgg11_lrn": f.VGG.net(132_863_336, (29.7, 10.5, "dense"), configuration="A-LRN", departs=(
        "LRN uses alpha and k as in AlexNet's formula, to which the paper refers",)),
    "vgg13": f.VGG.net(133_047_848, (28.7, 9.9, "dense"), configuration="B"),
    "vgg13_5x5": f.VGG.net(134_503_528, configuration="B-5x5"),
    "vgg16_1x1": f.VGG.net(133_638_952, (28.1, 9.4, "dense"), configuration="C"),
    "vgg16": f.VGG.net(138_357_544, (27.0, 8.8, "dense"), configuration="D"),
    "vgg19": f.VGG.net(143_667_240, (27.3, 9.0, "dense"), configuration="E"),
    "vgg11_bn": f.VGG_BN.net(132_868_840, configuration="A"),
    "vgg13_bn": f.VGG_BN.net(133_053_736, configuration="B"),
    "vgg16_bn": f.VGG_BN.net(138_365_992, (26.64, 8.48, CROP), configuration="D"),
    "vgg19_bn": f.VGG_BN.net(143_678_248, configuration="E"),
    "googlenet": i.GOOGLENET.net(6_998_552, (None, 10.07, CROP)),
    "googlenet_bn": i.GOOGLENET_BN.net(6_624_904, (30.222, 10.47, CROP)),
    "bn_inception": i.BN_INCEPTION.net(11_285_224, (25.2, 7.8, CROP)),
    "inception_v3": i.INCEPTION_V3.net(23_834_568, (21.2, 5.6, CROP), form="tensorflow"),
    "inception_v3_tv": i.INCEPTION_V3.net(23_834_568, (22.706, 6.55, CROP), form="torchvision",
        departs=("as in torchvision, average pools count the padding, and dropout is 0.5",)),
    "cnds8": i.CNDS.net(63_665_000, (33.8, 13.2, "not stated")),
    "plain18": r.PLAIN.net(11_515_688, (27.94, None, "ten_crop"), depth=18, form="authors",
        **PLAIN),
    "plain34": r.PLAIN.net(21_623_848, (28.54, 10.02, "ten_crop"), depth=34, form="authors",
        **PLAIN),
    "resnet18": r.RESNET.net(11_689_512, depth=18, form="authors"),
    "resnet34": r.RESNET.net(21_797_672, (24.52, 7.46, "ten_crop"), depth=34, form="authors"),
    "resnet50": r.RESNET.net(25_557_032, (22.85, 6.71, "ten_crop"), depth=50, form="authors"),
    "resnet101": r.RESNET.net(44_549_160, (21.75, 6.05, "ten_crop"), depth=101, form="authors"),
    "resnet152": r.RESNET.net(60_192_808, (21.43, 5.71, "ten_crop"), depth=152, form="authors"),
    "resnet18_v1_5": r.V1_5.net(11_689_512, (30.242, None, CROP), depth=18, form="v1_5"),
    "resnet34_v1_5": r.V1_5.net(21_797_672, (26.686, None, CROP), depth=34, form="v1_5"),
    "resnet50_v1_5": r.V1_5.net(25_557_032, (23.870, None, CROP), depth=50, form="v1_5"),
    "resnet101_v1_5": r.V1_5.net(44_549_160, (22.626, None, CROP), depth=101, form="v1_5"),
    "resnet152_v1_5": r.V1_5.net(60_192_808, (21.688, None, CROP), depth=152, form="v1_5"),
    "resnet50_keras": r.KERAS.net(25_583_592, depth=50, form="keras"),
    "resnet101_keras": r.KERAS.net(44_601_832, depth=101, form="keras"),
    "resnet152_keras": r.KERAS.net(60_268_520, depth=152, form="keras"),
    "resnet50_v2": r.V2.net(25_549_352, depth=50, form="v1_5"),
    "resnet101_v2": r.V2.net(44_541_480, depth=101, form="v1_5"),
    "resnet152_v2": r.V2.net(60_185_128, (21.1, 5.5, "single_view at 320"), depth=152, form="v1_5"),
    "resnet200_v2": r.V2.net(64_666_152, (20.7, 5.3, "single_view at 320"), depth=200, form="v1_5"),
    "resnet50_v2_keras": r.V2_KERAS.net(25_568_360, depth=50, form="keras_v2", shortcut="keras",
        gate_bias=-6.0),
    "plain20_cifar": r.PLAIN_CIFAR.net(269_722, depth=20, unit="basic", **PLAIN),
    "plain32_cifar": r.PLAIN_CIFAR.net(464_154, depth=32, unit="basic", **PLAIN),
    "plain44_cifar": r.PLAIN_CIFAR.net(658_586, depth=44, unit="basic", **PLAIN),
    "plain56_cifar": r.PLAIN_CIFAR.net(853_018, depth=56, unit="basic", **PLAIN),
    "plain110_cifar": r.PLAIN_CIFAR.net(1_727_962, depth=110, unit="basic", **PLAIN),
    "resnet20_cifar": r.CIFAR.net(269_722, (8.75, None, CROP), depth=20, unit="basic"),
    "resnet32_cifar": r.CIFAR.net(464_154, (7.51, None, CROP), depth=32, unit="basic"),
    "resnet44_cifar": r.CIFAR.net(658_586, (7.17, None, CROP), depth=44, unit="basic"),
    "resnet56_cifar": r.CIFAR.net(853_018, (6.97, None, CROP), depth=56, unit="basic"),
    "resnet110_cifar": r.CIFAR.net(1_727_962, (6.43, None, CROP), depth=110, unit="basic"),
    "resnet1202_cifar": r.CIFAR.net(19_421_274, (7.93, None, CROP), depth=1202, unit="basic"),
    "resnet_cifar": r.CIFAR_ANY_DEPTH.net(unit="basic"),
    "resnet20_v2_cifar": r.CIFAR_V2.net(269_722, depth=20, unit="basic"),
    "resnet56_v2_cifar": r.CIFAR_V2.net(853_018, depth=56, unit="basic"),
    "resnet110_v2_cifar": r.CIFAR_V2.net(1_727_962, (6.37, None, CROP), depth=110, unit="basic"),
    "resnet164_v2_cifar": r.CIFAR_V2_BOTTLENECK.net(1_703_258, (5.46, None, CROP), depth=164,
        unit="bottleneck"),
    "resnet1001_v2_cifar": r.CIFAR_V2_BOTTLENECK.net(10_327_706, (4.92, None, CROP), depth=1001,
        unit="bottleneck"),
    "resnet_v2_cifar": r.CIFAR_V2_ANY_DEPTH.net(unit="bottleneck"),
}
# fmt: on
NETS = {name: replace(net, name=name) for name, net in TABLE.items()}
