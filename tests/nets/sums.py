"""Parameters of VGG, CNDS-8, NIN and GoogLeNet, added up from the papers' tables."""

# fmt: off
# Gamma and beta of every filter come; as in torchvision, its bias stays.
VGG_FILTERS = {"vgg11": 64 + 128 + 2 * 256 + 4 * 512, "vgg19": 2 * 64 + 2 * 128 + 4 * 256 + 8 * 512}
# Half of all maps and units; a head of 4096 units on 7x7 maps of the last stage, or 4x4 in CNDS-8.
VGG_A = ((3, 64), (64, 128), (128, 256), (256, 256), (256, 512), *3 * [(512, 512)])


def three_by_three(maps, part):
    """Parameters of 3x3 convolutions with 1/part of all maps; the 3 channels of images stay."""
    rows = [(n if n == 3 else n // part, m // part) for n, m in maps]
    return sum(9 * n * m + m for n, m in rows)


def head(area, part):
    """Parameters of fc6 on `area` times 512 maps, fc7 and fc8, with 1/part of maps and units."""
    maps, units = 512 // part, 4096 // part
    return (area * maps * units + units) + (units * units + units) + (units * 1000 + 1000)


def cnds8(part=1):
    """Parameters of CNDS-8: as VGG-A, but conv1 has kernels of 7x7."""
    conv1 = 7 * 7 * 3 * 64 // part + 64 // part
    return conv1 + three_by_three(VGG_A[1:], part) + head(4 * 4, part)


VGG11_HALF = three_by_three(VGG_A, 2) + head(7 * 7, 2)
# The average of ten maps gives way to a matrix from 8x8 of them.
NIN_DENSE = 966_986 + 8 * 8 * 10 * 10 + 10


def nin(*rows):
    """Parameters of convolutions (kernel, filters) with biases, from 3 channels to 10 classes."""
    maps = (3, *(filters for _, filters in rows))
    return sum(k * k * n * m + m for (k, m), n in zip((*rows, (1, 10)), maps))


NIN = ((5, 192), (1, 160), (1, 96), (5, 192), (1, 192), (1, 192), (3, 192), (1, 192))
# As many multiply-adds at 32x32, 16x16 and 8x8 maps: the root of the equation for a factor.
NIN_LINEAR = ((5, round(1.236 * 96)), (5, round(1.236 * 192)), (3, round(1.236 * 192)))

# Columns of GoogLeNet's table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
GOOGLENET_ROWS = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)


def googlenet(module="reduced", part=1):
    """With 1/part of all maps; figure 2a has no 1x1 before the wide kernels, or behind the pool.

    Serial modules are two 3x3 convolutions, whose multiply-adds a pixel are those of the module.
    """
    a, b = 64 // part, 192 // part
    total, maps = 7 * 7 * 3 * a + a + a * a + a + 9 * a * b + b, b
    for row in GOOGLENET_ROWS:
        n1, n3_reduce, n3, n5_reduce, n5, proj = (column // part for column in row)
        reductions = n1 + n3_reduce + n5_reduce + proj
        if module == "naive":
            total += maps * (n1 + 9 * n3 + 25 * n5) + n1 + n3 + n5
            maps += n1 + n3 + n5
        elif module == "serial":
            out = n1 + n3 + n5 + proj
            wanted = maps * reductions + 9 * n3_reduce * n3 + 25 * n5_reduce * n5
            m = min(range(1, 999), key=lambda m: abs(9 * maps * m + 9 * m * out - wanted))
            total += 9 * maps * m + m + 9 * m * out + out
            maps = out
        else:
            total += (maps + 1) * reductions + 9 * n3_reduce * n3 + n3 + 25 * n5_reduce * n5 + n5
            maps = n1 + n3 + n5 + proj
    return total + maps * 1000 + 1000
# fmt: on
