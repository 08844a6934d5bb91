"""Tests of variations that keep the number of multiply-adds of the published net."""

import pytest

from keras_ilsvrc.accounting import account

# Of GoogLeNet's 57 convolutions and one dense layer, each of nine modules has six, and two when
# they are in series; of NIN's nine convolutions, five are the 1x1 layers of mlpconv layers.
KEPT = [
    ("googlenet", {"module": "serial"}, 58, 58 - 9 * 6 + 9 * 2, 0.01),
    ("nin_cifar10", {"layers": "linear"}, 9, 9 - 5, 0.02),
]


@pytest.mark.parametrize(("name", "given", "before", "after", "most"), KEPT)
def test_as_many_operations_in_fewer_layers(name, given, before, after, most, unallocated, facts):
    published, varied = account(unallocated(name)).macs, account(unallocated(name, **given)).macs
    assert varied == pytest.approx(published, rel=most)
    assert (facts(name).weight_layers, facts(name, **given).weight_layers) == (before, after)


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_every_serial_module_has_the_operations_and_the_maps_of_its_module(width, unallocated):
    """The first convolution has a whole number of filters, so that up to half of one is lost."""
    parallel = unallocated("googlenet", width=width)
    serial = unallocated("googlenet", width=width, module="serial")
    counts = [account(model).rows for model in (parallel, serial)]
    for row in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        name = f"inception_{row}"
        published, found = (
            sum(layer.macs for layer in rows if layer.name.startswith(f"{name}_"))
            for rows in counts
        )
        first = serial.get_layer(f"{name}_3x3_1")
        assert abs(found - published) <= 0.5 * found / first.filters
        assert (
            serial.get_layer(f"{name}_3x3_2").output.shape == parallel.get_layer(name).output.shape
        )
