"""Published Caffe nets as texts for `caffe_referee`, with the layers in the prototxt's order.

Sources: BVLC/caffe, models/*/train_val.prototxt; KaimingHe/deep-residual-networks, prototxt/; Lin's
nin_model.prototxt; lwwang/Places_CNDS_model, train_val.prototxt. Some texts are also used for ONNX
files, whose layers have the same names.
"""

MAX = "Pooling pool=MAX kernel_size=3 stride=2"
LRN = "LRN local_size=5 alpha=0.0001 beta=0.75"


def conv(name, maps, size, *, relu=None, bottom="", **options):
    """A convolution and, if it has a name, its ReLU."""
    more = " ".join(f"{key}={value}" for key, value in options.items())
    text = f"{name} Convolution num_output={maps} kernel_size={size} {more} {bottom}\n"
    return text + (f"{relu} ReLU\n" if relu else "")


def fully_connected(classes, last="fc8", units=(4096, 4096)):
    """fc6, fc7 and the classifier."""
    rows = [
        f"fc{n} InnerProduct num_output={width}\nrelu{n} ReLU\ndrop{n} Dropout\n"
        for n, width in enumerate(units, 6)
    ]
    return "".join(rows) + f"{last} InnerProduct num_output={classes}"


def alexnet(classes, order=("norm", "pool"), last="fc8"):
    """bvlc_alexnet, or with pools before norms bvlc_reference_caffenet and R-CNN's net."""
    kinds = {"norm": LRN, "pool": MAX}
    first, second = ("".join(f"{x}{n} {kinds[x]}\n" for x in order) for n in (1, 2))
    return (
        conv("conv1", 96, 11, stride=4, relu="relu1")
        + first
        + conv("conv2", 256, 5, pad=2, group=2, relu="relu2")
        + second
        + conv("conv3", 384, 3, pad=1, relu="relu3")
        + conv("conv4", 384, 3, pad=1, group=2, relu="relu4")
        + conv("conv5", 256, 3, pad=1, group=2, relu="relu5")
        + f"pool5 {MAX}\n"
        + fully_connected(classes, last)
    )


def caffenet(classes, last="fc8"):
    return alexnet(classes, ("pool", "norm"), last)


def vgg(counts, classes):
    """VGG_ILSVRC_16_layers: 2, 2, 3, 3, 3 convolutions a stage; in _19_layers 2, 2, 4, 4, 4."""
    text = ""
    for stage, (count, maps) in enumerate(zip(counts, (64, 128, 256, 512, 512), strict=True), 1):
        for n in range(1, count + 1):
            text += conv(f"conv{stage}_{n}", maps, 3, pad=1, relu=f"relu{stage}_{n}")
        text += f"pool{stage} Pooling pool=MAX kernel_size=2 stride=2\n"
    return text + fully_connected(classes)


def nin_imagenet(classes):
    rows = (
        ("conv1 96 11 4 0", "cccp1 96", "cccp2 96", "pool0"),
        ("conv2 256 5 1 2", "cccp3 256", "cccp4 256", "pool2"),
        ("conv3 384 3 1 1", "cccp5 384", "cccp6 384", "pool3"),
        ("conv4-1024 1024 3 1 1", "cccp7-1024 1024", f"cccp8-1024 {classes}", ""),
    )
    return _mlpconvs(rows) + "pool4 Pooling pool=AVE global_pooling=true"


def nin_cifar10(classes):
    rows = (
        ("conv1 192 5 1 2", "cccp1 160", "cccp2 96", "pool1"),
        ("conv2 192 5 1 2", "cccp3 192", "cccp4 192", "pool2"),
        ("conv3 192 3 1 1", "cccp5 192", f"cccp6 {classes}", ""),
    )
    text = _mlpconvs(rows).replace("pool2 Pooling pool=MAX", "pool2 Pooling pool=AVE")
    return text + "pool3 Pooling pool=AVE global_pooling=true"


def _mlpconvs(rows):
    text = ""
    for wide, *narrow, pool in rows:
        name, maps, size, stride, pad = wide.split()
        text += conv(name, maps, size, stride=stride, pad=pad, relu=f"relu_{name}")
        for name, maps in map(str.split, narrow):
            text += conv(name, maps, 1, relu=f"relu_{name}")
        text += f"{pool} {MAX}\ndrop_{pool} Dropout\n" if pool else ""
    return text


INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception(row, below):
    """A module; `below` is the layer whose output it takes."""
    n1, n3r, n3, n5r, n5, proj = INCEPTION[row]
    at, first = f"inception_{row}", f"< {below}"
    name = {end: f"{at}/relu_{end}" for end in ("1x1", "3x3", "5x5", "pool_proj")}
    return (
        conv(f"{at}/1x1", n1, 1, relu=name["1x1"], bottom=first)
        + conv(f"{at}/3x3_reduce", n3r, 1, relu=f"{at}/relu_3x3_reduce", bottom=first)
        + conv(f"{at}/3x3", n3, 3, pad=1, relu=name["3x3"])
        + conv(f"{at}/5x5_reduce", n5r, 1, relu=f"{at}/relu_5x5_reduce", bottom=first)
        + conv(f"{at}/5x5", n5, 5, pad=2, relu=name["5x5"])
        + f"{at}/pool Pooling pool=MAX kernel_size=3 stride=1 pad=1 {first}\n"
        + conv(f"{at}/pool_proj", proj, 1, relu=name["pool_proj"])
        + f"{at}/output Concat < {' '.join(name.values())}\n"
    )


def googlenet(classes, auxiliary=True):
    """bvlc_googlenet, with the auxiliary classifiers loss1 and loss2 as in the file."""
    text = conv("conv1/7x7_s2", 64, 7, stride=2, pad=3, relu="conv1/relu_7x7")
    text += f"pool1/3x3_s2 {MAX}\npool1/norm1 {LRN}\n"
    text += conv("conv2/3x3_reduce", 64, 1, relu="conv2/relu_3x3_reduce")
    text += conv("conv2/3x3", 192, 3, pad=1, relu="conv2/relu_3x3")
    text += f"conv2/norm2 {LRN}\npool2/3x3_s2 {MAX}\n"
    below = "pool2/3x3_s2"
    for row in INCEPTION:
        text += inception(row, below)
        below = f"inception_{row}/output"
        if auxiliary and row in ("4a", "4d"):
            text += _auxiliary(f"loss{1 + (row == '4d')}", below, classes)
        if row in ("3b", "4e"):
            pool = f"pool{row[0]}/3x3_s2"
            text += f"{pool} {MAX} < {below}\n"
            below = pool
    text += "pool5/7x7_s1 Pooling pool=AVE global_pooling=true\n"
    return text + f"loss3/classifier InnerProduct num_output={classes}"


def _auxiliary(name, below, classes):
    return (
        f"{name}/ave_pool Pooling pool=AVE kernel_size=5 stride=3 < {below}\n"
        + conv(f"{name}/conv", 128, 1, relu=f"{name}/relu_conv")
        + f"{name}/fc InnerProduct num_output=1024\n{name}/relu_fc ReLU\n"
        + f"{name}/classifier InnerProduct num_output={classes}\n"
    )


def cnds(classes):
    """8conv3fc_CNDS, with its branch behind conv3_2; no ReLU follows the branch's convolution."""
    small = "Pooling pool=MAX kernel_size=2 stride=2"
    text = conv("conv1", 64, 7, stride=2, pad=1, relu="relu1") + f"pool1 {MAX}\n"
    text += conv("conv2", 128, 3, pad=1, relu="relu2") + f"pool2 {small}\n"
    for stage, maps in ((3, 256), (4, 512), (5, 512)):
        for n in (1, 2):
            text += conv(f"conv{stage}_{n}", maps, 3, pad=1, relu=f"relu{stage}_{n}")
        text += f"pool{stage} {small}\n"
    branch = "pool_DSN_conv3 Pooling pool=AVE kernel_size=5 stride=2 < relu3_2\n"
    branch += conv("DSN_conv3", 64, 1)
    for n in (6, 7):
        branch += f"fc{n}_DSN_conv3 InnerProduct num_output=1024\nrelu{n}_DSN_conv3 ReLU\n"
    branch += f"fc8_DSN_conv3 InnerProduct num_output={classes}\n"
    return text + branch + fully_connected(classes).replace("\n", " < pool5\n", 1)


def resnet(depth, classes):
    """ResNet-50, -101 or -152; only conv1 of ResNet-50 has a bias."""
    counts = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    first = {} if depth == 50 else {"bias_term": "false"}
    text = conv("conv1", 64, 7, stride=2, pad=3, **first) + _norm("conv1", "_conv1")
    text += f"conv1_relu ReLU\npool1 {MAX}\n"
    below = "pool1"
    for stage, count in enumerate(counts, 2):
        for n in range(count):
            letters = n == 0 or depth == 50 or stage in (2, 5)
            name = f"{stage}{'abcdef'[n]}" if letters else f"{stage}b{n}"
            text += _unit(name, stage, n == 0, below)
            below = f"res{name}_relu"
    text += "pool5 Pooling pool=AVE global_pooling=true\n"
    return text + f"fc1000 InnerProduct num_output={classes}"


def _norm(conv_name, end):
    return f"bn{end} BatchNorm\nscale{end} Scale\n"


def _unit(name, stage, first, below):
    maps, stride = 64 * 2 ** (stage - 2), 2 if first and stage > 2 else 1
    plain, text, shortcut = {"bias_term": "false"}, "", below
    if first:
        text += conv(
            f"res{name}_branch1", 4 * maps, 1, stride=stride, bottom=f"< {below}", **plain
        ) + _norm("", f"{name}_branch1")
        shortcut = f"scale{name}_branch1"
    rows = (("a", maps, 1, stride, 0), ("b", maps, 3, 1, 1), ("c", 4 * maps, 1, 1, 0))
    for end, width, size, step, pad in rows:
        at = f"{name}_branch2{end}"
        bottom = f"< {below}" if end == "a" else ""
        text += conv(f"res{at}", width, size, stride=step, pad=pad, bottom=bottom, **plain)
        text += _norm("", at) + (f"res{at}_relu ReLU\n" if end != "c" else "")
    return text + f"res{name} Eltwise < {shortcut} scale{name}_branch2c\nres{name}_relu ReLU\n"
