"""Names and shapes of the tensors in published PyTorch files, net by net.

`Entry` also contains the path of our weight. The names on both sides are made from the same
indices, independently of the conversion rules of the package.
"""

from typing import NamedTuple

from keras_ilsvrc.nets.bn_inception import FIGURE_5
from keras_ilsvrc.nets.googlenet import TABLE_1

WORDS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
WORDS |= {"running_var": "moving_variance"}
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DEPTHS |= {152: (3, 8, 36, 3)}
VGG = {
    11: (0, 3, 6, 8, 11, 13, 16, 18),
    13: (0, 2, 5, 7, 10, 12, 15, 17, 20, 22),
    16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    19: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
STAGES = {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
MAPS = (64, 128, 256, 512, 512)
TIMM_VGG = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
TIMM_VGG |= {"classifier.6": "head.fc"}
# Names of a GoogLeNet module in torchvision, in the order of `TABLE_1`.
GOOGLENET = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
GOOGLENET_OURS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
# Modules of BN-Inception, stage by stage in pytorchcv
BN_STAGES = ("3a 3b", "3c 4a 4b 4c 4d", "4e 5a 5b")


class Entry(NamedTuple):
    """A tensor: its name and shape in the file, and the path of our weight (None: not a weight)."""

    name: str
    shape: tuple[int, ...]
    path: str | None


def layer(theirs, ours, *shape, bias=True):
    """Kernel, and a bias as long as its first axis."""
    entries = [Entry(f"{theirs}.weight", shape, f"{ours}/kernel")]
    return entries + [Entry(f"{theirs}.bias", shape[:1], f"{ours}/bias")] * bias


def norm(theirs, ours, maps):
    """Batch normalisation."""
    entries = [Entry(f"{theirs}.{word}", (maps,), f"{ours}/{name}") for word, name in WORDS.items()]
    return [*entries, Entry(f"{theirs}.num_batches_tracked", (), None)]


def both(theirs, ours, *shape, bias=False):
    """Convolution and normalisation: `X.conv`, `X.bn`; ours are `Y`, `Y_bn`."""
    kernel = layer(f"{theirs}.conv", ours, *shape, bias=bias)
    return kernel + norm(f"{theirs}.bn", f"{ours}_bn", shape[0])


def alexnet(size=6, classes=1000):
    """torchvision's alexnet with maps of `size` x `size` before its classifier."""
    shapes = ((64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3))
    shapes += ((256, 256, 3, 3),)
    rows = zip((0, 3, 6, 8, 10), shapes)
    found = [e for i, (n, s) in enumerate(rows, 1) for e in layer(f"features.{n}", f"conv{i}", *s)]
    return found + fully_connected((1, 4, 6), 256 * size**2, classes)


def fully_connected(places, inputs, classes, units=(4096, 4096)):
    """Three dense layers of a `classifier`."""
    sizes = (inputs, *units, classes)
    found = []
    for i, place in enumerate(places):
        found += layer(f"classifier.{place}", f"fc{6 + i}", sizes[i + 1], sizes[i])
    return found


def vgg(depth, batch_norm=False, size=7, classes=1000):
    """torchvision's vgg*; in vgg*_bn, a normalisation comes after each convolution."""
    found, inner, places, extra = [], 3, iter(VGG[depth]), 0
    for stage, (count, maps) in enumerate(zip(STAGES[depth], MAPS), 1):
        for number in range(1, count + 1):
            place, ours = next(places) + extra, f"conv{stage}_{number}"
            found += layer(f"features.{place}", ours, maps, inner, 3, 3)
            if batch_norm:
                found += norm(f"features.{place + 1}", f"{ours}_bn", maps)
                extra += 1
            inner = maps
    return found + fully_connected((0, 3, 6), 512 * size**2, classes)


def timm_vgg(depth, batch_norm=False, size=7, classes=1000):
    """timm's vgg*, whose first two dense layers are convolutions."""
    shapes = {"pre_logits.fc1.weight": (4096, 512, size, size)}
    shapes["pre_logits.fc2.weight"] = (4096, 4096, 1, 1)
    found = []
    for name, shape, path in vgg(depth, batch_norm, size, classes):
        place, _, word = name.rpartition(".")
        name = f"{TIMM_VGG.get(place, place)}.{word}"
        found.append(Entry(name, shapes.get(name, shape), path))
    return found


def resnet(depth, classes=1000):
    """torchvision's resnet*."""
    bottleneck, found, inner = depth > 34, [], 64
    found = layer("conv1", "conv1", 64, 3, 7, 7, bias=False) + norm("bn1", "conv1_bn", 64)
    for stage, (count, maps) in enumerate(zip(DEPTHS[depth], (64, 128, 256, 512)), 1):
        wide = maps * 4 if bottleneck else maps
        for unit in range(count):
            theirs, ours = f"layer{stage}.{unit}", f"conv{stage + 1}_{unit + 1}"
            cells = [(maps, inner, 3), (maps, maps, 3)]
            if bottleneck:
                cells = [(maps, inner, 1), (maps, maps, 3), (wide, maps, 1)]
            for place, (out, into, kernel) in enumerate(cells, 1):
                kernel = (kernel, kernel)
                found += layer(
                    f"{theirs}.conv{place}", f"{ours}/conv_{place}", out, into, *kernel, bias=False
                )
                found += norm(f"{theirs}.bn{place}", f"{ours}/bn_{place}", out)
            if inner != wide:
                sides = (wide, inner, 1, 1)
                found += layer(
                    f"{theirs}.downsample.0", f"{ours}/conv_shortcut", *sides, bias=False
                )
                found += norm(f"{theirs}.downsample.1", f"{ours}/bn_shortcut", wide)
            inner = wide
    return found + layer("fc", "logits", classes, inner)


def cifar(depth, option_a, classes=10):
    """akamaster's resnet* (option A), or pytorchcv's resnet*_cifar10 (option B)."""
    found, inner = [], 16
    ends = ("conv1", "bn1") if option_a else ("init_block.conv", "init_block.bn")
    found = layer(ends[0], "conv1", 16, 3, 3, 3, bias=False) + norm(ends[1], "conv1_bn", 16)
    for stage, maps in enumerate((16, 32, 64), 1):
        for unit in range((depth - 2) // 6):
            ours = f"conv{stage + 1}_{unit + 1}"
            for place, into in enumerate((inner, maps), 1):
                convolution, bn = (
                    f"layer{stage}.{unit}.conv{place}",
                    f"layer{stage}.{unit}.bn{place}",
                )
                if not option_a:
                    body = f"stage{stage}.unit{unit + 1}.body.conv{place}"
                    convolution, bn = f"{body}.conv", f"{body}.bn"
                shape = (maps, into, 3, 3)
                found += layer(convolution, f"{ours}/conv_{place}", *shape, bias=False)
                found += norm(bn, f"{ours}/bn_{place}", maps)
            if inner != maps and not option_a:
                theirs = f"stage{stage}.unit{unit + 1}.identity_conv"
                shape = (maps, inner, 1, 1)
                found += layer(f"{theirs}.conv", f"{ours}/conv_shortcut", *shape, bias=False)
                found += norm(f"{theirs}.bn", f"{ours}/bn_shortcut", maps)
            inner = maps
    if option_a:
        found += layer("linear", "logits", classes, 64)
        return [Entry(f"module.{name}", shape, path) for name, shape, path in found]
    found = [Entry(f"features.{name}", shape, path) for name, shape, path in found]
    return found + layer("output", "logits", classes, 64)


def googlenet(classes=1000):
    """torchvision's googlenet, with its auxiliary classifiers."""
    found = both("conv1", "conv1", 64, 3, 7, 7) + both("conv2", "conv2_reduce", 64, 64, 1, 1)
    found += both("conv3", "conv2", 192, 64, 3, 3)
    inner = 192
    for module, (n1, r3, n3, r5, n5, proj) in TABLE_1.items():
        shapes = ((n1, inner, 1), (r3, inner, 1), (n3, r3, 3), (r5, inner, 1), (n5, r5, 3))
        for theirs, ours, shape in zip(GOOGLENET, GOOGLENET_OURS, (*shapes, (proj, inner, 1))):
            names = f"inception{module}.{theirs}", f"inception_{module}_{ours}"
            found += both(*names, *shape, shape[-1])
        inner = n1 + n3 + n5 + proj
    for aux, maps in (("aux1", 512), ("aux2", 528)):
        found += both(f"{aux}.conv", f"{aux}_conv", 128, maps, 1, 1)
        found += layer(f"{aux}.fc1", f"{aux}_fc", 1024, 2048)
        found += layer(f"{aux}.fc2", f"{aux}_logits", classes, 1024)
    return found + layer("fc", "logits", classes, 1024)


def bninception(classes=1000):
    """pytorchcv's bninception, whose convolutions have biases."""
    start = "features.init_block"
    found = both(f"{start}.conv1", "conv1", 64, 3, 7, 7, bias=True)
    found += both(f"{start}.conv2.conv1", "conv2_reduce", 64, 64, 1, 1, bias=True)
    found += both(f"{start}.conv2.conv2", "conv2", 192, 64, 3, 3, bias=True)
    inner = 192
    for stage, modules in enumerate(BN_STAGES, 1):
        for unit, module in enumerate(modules.split(), 1):
            n1, r3, n3, rd, nd, _, proj = FIGURE_5[module]
            branches = [[("", "1x1", n1, inner, 1)]] * bool(n1)
            branches.append([(".conv1", "3x3_reduce", r3, inner, 1), (".conv2", "3x3", n3, r3, 3)])
            branches.append(
                [
                    (".conv1", "double_3x3_reduce", rd, inner, 1),
                    (".conv2", "double_3x3_1", nd, rd, 3),
                    (".conv3", "double_3x3_2", nd, nd, 3),
                ]
            )
            branches += [[(".conv", "pool_proj", proj, inner, 1)]] * bool(proj)
            for number, cells in enumerate(branches, 1):
                for end, ours, out, into, kernel in cells:
                    place = f"features.stage{stage}.unit{unit}.branches.branch{number}{end}"
                    shape = (out, into, kernel, kernel)
                    found += both(place, f"inception_{module}_{ours}", *shape, bias=True)
            inner = (n1 or inner) + n3 + nd + proj
    return found + layer("output", "logits", classes, inner)
