"""Tests of the image statistics that ops need: compared with NumPy and scikit-learn."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from keras_ilsvrc import InputError
from keras_ilsvrc.data import statistics
from keras_ilsvrc.data.apply import apply_ops
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.ops import STATISTICS
from keras_ilsvrc.data.pipeline import evaluation_batches
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.statistics import MEASURES, measure_statistics

DIGITS = np.round(load_digits().images * 15.9375).astype("uint8")[..., None]
AUGMENTED = [{"op": "pad", "size": 2}, {"op": "random_crop", "size": 8}, {"op": "flip"}]
STANDARDISE, CHANNEL_MEAN = {"op": "standardise"}, {"op": "subtract_channel_mean"}
MEASURED = {"op": "pca_noise", "form": "cuda-convnet", "components": "measured"}
ZCA = {"op": "zca", "epsilon": 20.0}


def numbered(count):
    """Real images whose label is their place in the split."""
    return Split(np.arange(count, dtype="int32"), DIGITS[:count], channels=1)


# 100 images of three digits each, one as its negative.
THREES = np.concatenate([DIGITS[:300:3], DIGITS[1:300:3], 255 - DIGITS[2:300:3]], axis=-1)
COLOURED = Split(np.zeros(100, "int32"), THREES)


def test_every_statistic_has_a_measure():
    assert set(MEASURES) == set(STATISTICS.values())


def test_pixel_mean_is_that_of_numpy():
    found = measure_statistics(numbered(50), [{"op": "subtract_pixel_mean"}])
    assert list(found) == ["pixel_mean"]
    np.testing.assert_allclose(found["pixel_mean"], DIGITS[:50].mean(axis=0), rtol=1e-6)


def test_channel_mean_and_deviation_are_those_of_numpy():
    made = np.concatenate([DIGITS[:60:3], DIGITS[1:60:3], 255 - DIGITS[2:60:3]], axis=-1)
    split = Split(np.zeros(20, "int32"), made)
    found = measure_statistics(split, [{"op": "standardise"}])
    np.testing.assert_allclose(found["channel_mean"], made.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found["channel_std"], made.std(axis=(0, 1, 2)), rtol=1e-5)


def test_statistics_are_measured_where_the_op_stands():
    rows = [{"op": "pad", "size": 1}, {"op": "subtract_pixel_mean"}, STANDARDISE]
    padded = np.pad(DIGITS[:30].astype("float64"), [(0, 0), (1, 1), (1, 1), (0, 0)])
    found = measure_statistics(numbered(30), rows)
    centred = padded - padded.mean(axis=0)
    np.testing.assert_allclose(found["pixel_mean"], padded.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["channel_mean"], 0, atol=1e-5)
    np.testing.assert_allclose(found["channel_std"], centred.std(), rtol=1e-5)


PIXEL_MEAN = {"op": "subtract_pixel_mean"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PIXEL_MEAN, STANDARDISE),
        (PIXEL_MEAN, CHANNEL_MEAN),
        (PIXEL_MEAN, MEASURED),
        (PIXEL_MEAN, ZCA),
        (CHANNEL_MEAN, PIXEL_MEAN),
        (CHANNEL_MEAN, MEASURED),
        (STANDARDISE, PIXEL_MEAN),
        (STANDARDISE, MEASURED),
        (STANDARDISE, ZCA),
    ],
)
def test_statistics_after_a_mean_are_those_of_a_pass_of_their_own(first, second, monkeypatch):
    """After an op that subtracts a mean, sums are converted instead of measured again."""
    passes, real = [], statistics._means
    monkeypatch.setattr(statistics, "_means", lambda *x: passes.append(x) or real(*x))
    found = measure_statistics(COLOURED, [first, second])
    assert len(passes) == 1
    monkeypatch.setattr(statistics, "MEANS", ())
    expected = measure_statistics(COLOURED, [first, second])
    assert len(passes) == 3
    assert list(found) == list(expected)
    for name, value in expected.items():
        # A mean after the subtraction is nothing but rounding.
        atol = 1e-5 if "mean" in name else 1e-5 * np.abs(value).max()
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=atol)


def test_statistics_before_and_after_another_op_need_two_passes(monkeypatch):
    passes, real = [], statistics._means
    monkeypatch.setattr(statistics, "_means", lambda *x: passes.append(x) or real(*x))
    measure_statistics(COLOURED, [MEASURED, {"op": "resize", "size": 4}, STANDARDISE])
    assert len(passes) == 1
    measure_statistics(COLOURED, [PIXEL_MEAN, {"op": "pad", "size": 1}, STANDARDISE])
    assert len(passes) == 3


def test_a_constant_channel_is_not_divided_by_zero():
    split = Split(np.zeros(4, "int32"), np.full((4, 8, 8, 1), 7, "uint8"), channels=1)
    rows = [{"op": "standardise"}]
    batch = next(iter(evaluation_batches(split, rows, measure_statistics(split, rows), 4)))
    np.testing.assert_array_equal(batch, 0)


def test_no_statistics_are_measured_for_ops_that_need_none():
    assert measure_statistics(numbered(5), AUGMENTED) == {}


@pytest.mark.parametrize("row", [{"op": "subtract_pixel_mean"}, {"op": "zca", "epsilon": 0.1}])
@pytest.mark.parametrize("random", [{"op": "random_crop", "size": 6}, {"op": "flip"}])
def test_a_random_op_before_statistics_by_pixel_is_refused(row, random):
    with pytest.raises(InputError) as caught:
        measure_statistics(numbered(5), [random, row])
    assert str(caught.value).startswith(f"{row['op']} comes after {random['op']}, which is random")


@pytest.mark.parametrize("row", [STANDARDISE, CHANNEL_MEAN, MEASURED])
def test_statistics_by_channel_are_of_images_that_no_random_op_has_seen(row):
    before = {"op": "pad", "size": 1}
    random = [{"op": "random_crop", "size": 3}, {"op": "flip"}]
    found = measure_statistics(COLOURED, [before, *random, row])
    expected = measure_statistics(COLOURED, [before, row])
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_pixel_mean_of_images_of_several_sizes_is_refused(tmp_path):
    (tmp_path / "train" / "digit").mkdir(parents=True)
    for size in (8, 12):
        Image.fromarray(DIGITS[0, ..., 0]).resize((size, size)).save(
            tmp_path / f"train/digit/{size}.png"
        )
    split = folder(tmp_path, channels=1, shares=Shares(0, 0)).split("train")
    with pytest.raises(InputError, match="images of one size; resize them first"):
        measure_statistics(split, [{"op": "subtract_pixel_mean"}])
    resized = measure_statistics(
        split, [{"op": "resize", "size": 8}, {"op": "subtract_pixel_mean"}]
    )
    assert resized["pixel_mean"].shape == (8, 8, 1)


def test_images_of_several_sizes_count_alike(tmp_path):
    (tmp_path / "train" / "digit").mkdir(parents=True)
    levels = {6: 10, 20: 40, 9: 100}
    for size, level in levels.items():
        pixels = np.full((size, size), level, "uint8")
        Image.fromarray(pixels).save(tmp_path / f"train/digit/{size}.png")
    split = folder(tmp_path, channels=1, shares=Shares(0, 0)).split("train")
    found = measure_statistics(split, [STANDARDISE])
    assert found["channel_mean"] == pytest.approx(50)
    assert found["channel_std"] == pytest.approx(np.std([10, 40, 100]))


def test_principal_components_are_those_of_scikit_learn():
    found = measure_statistics(COLOURED, [MEASURED])
    oracle = PCA().fit(THREES.reshape(-1, 3))
    count = THREES.size // 3
    variances = oracle.explained_variance_ * (count - 1) / count
    np.testing.assert_allclose(found["pca_values"], variances, rtol=1e-5)
    aligned = found["pca_vectors"].T @ oracle.components_.T
    np.testing.assert_allclose(np.abs(aligned), np.eye(3), atol=1e-4)


def test_the_printed_components_need_no_statistics():
    assert measure_statistics(COLOURED, [MEASURED | {"components": "imagenet"}]) == {}


def test_whitened_images_have_no_correlation():
    rows = [ZCA | {"epsilon": 1e-3}]
    corner = Split(np.zeros(1000, "int32"), DIGITS[:1000, 2:6, 2:6], channels=1)
    found = measure_statistics(corner, rows)
    batch = next(iter(evaluation_batches(corner, rows, found, 1000))).numpy()
    covariance = np.cov(batch.reshape(1000, -1), rowvar=False, bias=True)
    np.testing.assert_allclose(covariance, np.eye(16), atol=2e-3)


def test_the_whitening_matrix_is_the_root_of_the_inverse_covariance():
    values = THREES.reshape(100, -1).astype("float64")
    covariance = np.cov(values, rowvar=False, bias=True) + 20 * np.eye(192)
    found = measure_statistics(COLOURED, [ZCA])
    np.testing.assert_allclose(found["zca_mean"], values.mean(axis=0), rtol=1e-5, atol=1e-6)
    matrix = found["zca_matrix"].astype("float64")
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(matrix @ covariance @ matrix, np.eye(192), atol=1e-3)


def test_contrast_and_whitening_follow_each_other():
    rows = [{"op": "global_contrast", "scale": 55.0}, ZCA | {"epsilon": 0.1}]
    found = measure_statistics(COLOURED, rows)
    flat = THREES.reshape(100, -1) - THREES.reshape(100, -1).mean(axis=1, keepdims=True)
    flat *= 55 / np.sqrt((flat**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found["zca_mean"], flat.mean(axis=0), rtol=1e-4, atol=1e-5)
    image = apply_ops(THREES[3], rows, (0, 0), found).numpy().reshape(-1)
    expected = (flat[3] - found["zca_mean"]) @ found["zca_matrix"]
    np.testing.assert_allclose(image, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "fragment"),
    [
        ([CHANNEL_MEAN, STANDARDISE], "standardise needs the channel_mean, which an earlier op"),
        ([STANDARDISE, STANDARDISE], "standardise needs the channel_mean, which an earlier op"),
        ([{"op": "resize", "size": 65}, ZCA], "zca needs images of one size up to 64x64x3, not 65"),
    ],
)
def test_statistics_that_cannot_be_measured_are_refused(rows, fragment):
    with pytest.raises(InputError) as caught:
        measure_statistics(COLOURED, rows)
    assert str(caught.value).startswith(fragment)


def test_components_of_grey_images_are_refused():
    with pytest.raises(InputError, match="pca_noise needs images of 3 channels, not 1"):
        measure_statistics(numbered(5), [MEASURED])
