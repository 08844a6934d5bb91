"""Shortcuts of residual units (He et al. 2015, arXiv:1512.03385; 2016, arXiv:1603.05027)."""

from keras import ops

# fmt: off
# He et al. 2016, table 1, as (factor of the shortcut h(x), factor of F(x)). None is a factor of 1,
# and "dropout" means dropout instead of a factor. The gate g is the sigmoid of a 1x1 convolution of
# x. The shortcut "1x1 convolution" in the same table is `project` below.
TABLE_1 = {
    "constant_0.5":     (0.5,       None),
    "constant_0.5_0.5": (0.5,       0.5),
    "exclusive_gating": ("1 - g",   "g"),
    "shortcut_gating":  ("1 - g",   None),
    "dropout":          ("dropout", None),
}
# fmt: on


def no_shortcut(unit, x, target, stride):
    """Return None: the layers of a plain network have no shortcut."""
    return None


def zero_pad(unit, x, target, stride):
    """Apply shortcut option A: keep every `stride`-th pixel and append feature maps of zeros."""
    x = x[:, ::stride, ::stride, :] if stride > 1 else x
    new = target - x.shape[-1]
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, new)]) if new else x


def project(unit, x, target, stride):
    """Apply shortcut option C, a 1x1 convolution.

    BN follows the convolution, unless the unit begins with BN (He et al. 2016, appendix).
    """
    normalised = "bn" not in unit.form.before
    x = unit.convolution(x, f"conv1/{stride}-{target}", "shortcut", normalised)
    return unit.apply(x, "bn", "shortcut") if normalised else x


def project_on_change(unit, x, target, stride):
    """Apply shortcut option B: option C if the size or number of maps changes, else no layer."""
    return project(unit, x, target, stride) if unit.changes(x, target, stride) else x


def project_new_maps(unit, x, target, stride):
    """Apply the shortcut of Keras' ResNet50V2: option C if the number of maps changes, else A."""
    return (zero_pad if x.shape[-1] == target else project)(unit, x, target, stride)


# Options A, B and C are from He et al. 2015, sections 3.3 and 4.1. The shortcuts in `TABLE_1` begin
# with option A; the unit then applies the factors in the table.
SHORTCUTS = {
    "none": no_shortcut,
    "A": zero_pad,
    "B": project_on_change,
    "C": project,
    "keras": project_new_maps,
    **dict.fromkeys(TABLE_1, zero_pad),
}
