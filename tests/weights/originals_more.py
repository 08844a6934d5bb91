"""More names and shapes for `originals`: Inception-v3, and nets of pytorchcv like the others."""

from originals import Entry, both, fully_connected, layer, norm, resnet

# {modules of Inception-v3: "name in torchvision:our name" of each convolution}
V3 = {
    "5b 5c 5d": "1x1:1x1 5x5_1:5x5_reduce 5x5_2:5x5 3x3dbl_1:double_3x3_reduce "
    "3x3dbl_2:double_3x3_1 3x3dbl_3:double_3x3_2 _pool:pool_proj",
    "6a": "3x3:3x3 3x3dbl_1:double_3x3_reduce 3x3dbl_2:double_3x3_1 3x3dbl_3:double_3x3_2",
    "6b 6c 6d 6e": "1x1:1x1 7x7_1:7x7_reduce 7x7_2:1x7 7x7_3:7x1 7x7dbl_1:double_7x7_reduce "
    "7x7dbl_2:double_7x1_1 7x7dbl_3:double_1x7_1 7x7dbl_4:double_7x1_2 7x7dbl_5:double_1x7_2 "
    "_pool:pool_proj",
    "7a": "3x3_1:3x3_reduce 3x3_2:3x3 7x7x3_1:7x7x3_reduce 7x7x3_2:7x7x3_1x7 7x7x3_3:7x7x3_7x1 "
    "7x7x3_4:7x7x3_3x3",
    "7b 7c": "1x1:1x1 3x3_1:3x3_reduce 3x3_2a:3x3_1x3 3x3_2b:3x3_3x1 3x3dbl_1:double_3x3_reduce "
    "3x3dbl_2:double_3x3 3x3dbl_3a:double_3x3_1x3 3x3dbl_3b:double_3x3_3x1 _pool:pool_proj",
}
STEM = {"1a_3x3": "1a", "2a_3x3": "2a", "2b_3x3": "2b", "3b_1x1": "3b", "4a_3x3": "4a"}


def inception_v3(model, auxiliary=True):
    """torchvision's inception_v3, with the shapes of our `model`."""
    names = {f"Conv2d_{theirs}": f"conv{ours}" for theirs, ours in STEM.items()}
    for modules, row in V3.items():
        for module in modules.split():
            for pair in row.split():
                theirs, ours = pair.split(":")
                names[f"Mixed_{module}.branch{theirs}"] = f"mixed_{module}_{ours}"
    found = []
    for theirs, ours in names.items():
        rows, columns, inner, out = model.get_layer(ours).kernel.shape
        found += both(theirs, ours, out, inner, rows, columns)
    if auxiliary:
        found += both("AuxLogits.conv0", "aux_conv1", 128, 768, 1, 1)
        found += both("AuxLogits.conv1", "aux_conv2", 768, 128, 5, 5)
        found += layer("AuxLogits.fc", "aux_logits", 1000, 768)
    return found + layer("fc", "logits", 1000, 2048)


def pytorchcv_resnet(depth):
    """pytorchcv's resnet*: torchvision's tensors under other names."""
    renamed = []
    for name, shape, path in resnet(depth):
        layer, _, word = name.rpartition(".")
        match layer.split("."):
            case ["conv1"]:
                place = "features.init_block.conv.conv"
            case ["bn1"]:
                place = "features.init_block.conv.bn"
            case ["fc"]:
                place = "output"
            case [stage, unit, *rest]:
                if rest[0] == "downsample":
                    inside = f"identity_conv.{('conv', 'bn')[int(rest[1])]}"
                else:
                    inside = f"body.conv{rest[0][-1]}.{rest[0][:-1]}"
                place = f"features.stage{stage[-1]}.unit{int(unit) + 1}.{inside}"
        renamed.append(Entry(f"{place}.{word}", shape, path))
    return renamed


def preresnet(depth):
    """pytorchcv's preresnet*_cifar10: normalisations come before convolutions."""
    found, inner = layer("features.init_block", "conv1", 16, 3, 3, 3, bias=False), 16
    for stage, maps in enumerate((16, 32, 64), 1):
        for unit in range(1, (depth - 2) // 6 + 1):
            theirs, ours = f"features.stage{stage}.unit{unit}", f"conv{stage + 1}_{unit}"
            for place, into in enumerate((inner, maps), 1):
                first = stage == unit == place == 1
                body = f"{theirs}.body.conv{place}"
                found += norm(f"{body}.bn", "conv1_bn" if first else f"{ours}/bn_{place}", into)
                found += layer(f"{body}.conv", f"{ours}/conv_{place}", maps, into, 3, 3, bias=False)
            if inner != maps:
                names = f"{theirs}.identity_conv", f"{ours}/conv_shortcut"
                found += layer(*names, maps, inner, 1, 1, bias=False)
            inner = maps
    found += norm("features.post_activ.bn", "last_bn", 64)
    return found + layer("output", "logits", 10, 64)


def zfnet(maps, size=6, classes=1000):
    """pytorchcv's zfnet and zfnetb, with the maps of their convolutions."""
    stages, found, inner = ("1.unit1", "2.unit1", "3.unit1", "3.unit2", "3.unit3"), [], 3
    for number, (stage, out, kernel) in enumerate(zip(stages, maps, (7, 5, 3, 3, 3)), 1):
        names = f"features.stage{stage}.conv", f"conv{number}"
        found += layer(*names, out, inner, kernel, kernel)
        inner = out
    for entry in fully_connected((1, 2, 3), inner * size**2, classes):
        place = entry.name.replace("classifier.", "output.fc")
        end = "" if "fc3" in place else ".fc"
        layer_name, _, word = place.rpartition(".")
        found.append(entry._replace(name=f"{layer_name}{end}.{word}"))
    return found


def nin(classes=10):
    """pytorchcv's nin_cifar10."""
    rows = ((192, 160, 96), (192, 192, 192), (192, 192))
    names = iter(["conv1", "cccp1", "cccp2", "conv2", "cccp3", "cccp4", "conv3", "cccp5"])
    found, inner = [], 3
    for stage, row in enumerate(rows, 1):
        for unit, out in enumerate(row, 1):
            kernel = (5, 5, 3)[stage - 1] if unit == 1 else 1
            place = f"features.stage{stage}.unit{unit}.conv"
            found += layer(place, next(names), out, inner, kernel, kernel)
            inner = out
    return found + layer("output.final_conv.conv", "cccp6", classes, inner, 1, 1)
