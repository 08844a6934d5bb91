"""Shortcuts of residual units: He et al., arXiv:1512.03385 [1] and arXiv:1603.05027 [2]."""

from keras import ops

# fmt: off
# [2] table 1, as (factor of the shortcut h(x), factor of F(x)). The gate g is the sigmoid of a 1x1
# convolution of x. The "1x1 convolution" shortcut of that table is option C below.
TABLE_1 = {
    "constant_0.5":     (0.5,       None),
    "constant_0.5_0.5": (0.5,       0.5),
    "exclusive_gating": ("1 - g",   "g"),
    "shortcut_gating":  ("1 - g",   None),
    "dropout":          ("dropout", None),
}
# fmt: on


def no_shortcut(unit, x, target, stride):
    """Return None: a plain network has no shortcut."""
    return None


def zero_pad(unit, x, target, stride):
    """Apply option A, which has no weights: keep every `stride`-th pixel and append zero maps."""
    x = x[:, ::stride, ::stride, :] if stride > 1 else x
    new = target - x.shape[-1]
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, new)]) if new else x


def project(unit, x, target, stride):
    """Apply option C: a 1x1 convolution, with BN unless the unit begins with BN ([2], appendix)."""
    normalised = "bn" not in unit.form.before
    x = unit.convolution(x, f"conv1/{stride}-{target}", "shortcut", normalised)
    return unit.apply(x, "bn", "shortcut") if normalised else x


def project_on_change(unit, x, target, stride):
    """Apply option B: option C if the size or the number of maps changes, else the identity."""
    return project(unit, x, target, stride) if unit.changes(x, target, stride) else x


def project_new_maps(unit, x, target, stride):
    """Apply the shortcut of Keras' ResNet50V2: option C if maps are added, otherwise option A."""
    return (zero_pad if x.shape[-1] == target else project)(unit, x, target, stride)


# [1] sections 3.3 and 4.1. Those of `TABLE_1` are option A, which the unit multiplies by a factor.
SHORTCUTS = {
    "none": no_shortcut,
    "A": zero_pad,
    "B": project_on_change,
    "C": project,
    "keras": project_new_maps,
    **dict.fromkeys(TABLE_1, zero_pad),
}
