"""Types for the recipe schema: number ranges, a base class, and tables of preprocessing ops."""

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, create_model

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0, lt=2**31)]
Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]  # [minimum, maximum]


class Table(BaseModel):
    """Base class of all recipe tables. It rejects unknown keys and values of the wrong type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


ANTIALIAS = {"antialias": (bool | None, None)}  # optional key with the default None
# Recipe keys of each preprocessing op in the module `data.ops`, as {op: {key: type}}.
OP_KEYS: dict[str, dict[str, Any]] = {
    "resize": {"size": Count, **ANTIALIAS},
    "resize_shorter": {"size": Count, **ANTIALIAS},
    "scale_jitter": {"least": Count, "most": Count, **ANTIALIAS},
    "pad": {"size": Count},
    "random_crop": {"size": Count},
    "centre_crop": {"size": Count},
    "corner_crop": {"size": Count},
    "area_crop": {
        "size": Count,
        "area": Pair,
        "aspect": Pair,
        "interpolation": Literal["bilinear", "bicubic", "random"],
    },
    "flip": {},
    "pca_noise": {
        "form": Literal["cuda-convnet", "fb.resnet.torch"],
        "components": Literal["imagenet", "measured"],
    },
    "colour_jitter": {
        "brightness": NotNegative,
        "contrast": NotNegative,
        "saturation": NotNegative,
    },
    "normalise": {"mean": list[float], "std": list[Positive]},
    "preprocess": {"mode": Literal["caffe", "tf", "torch"]},
    "standardise": {},
    "subtract_channel_mean": {},
    "subtract_pixel_mean": {},
    "global_contrast": {"scale": Positive},
    "zca": {"epsilon": Positive},
}


def _op(name: str, keys: dict[str, Any]) -> type[Table]:
    fields: dict[str, Any] = {
        key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in keys.items()
    }
    fields["op"] = (Literal[name], ...)
    return create_model(name, __base__=Table, **fields)


OPS = tuple(_op(name, keys) for name, keys in OP_KEYS.items())
Ops = list[Annotated[Union[OPS], Field(discriminator="op")]]  # type: ignore[valid-type]  # noqa: UP007
