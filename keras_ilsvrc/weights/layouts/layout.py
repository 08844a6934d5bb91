"""`Layout`: how another framework's files name and store the weights of a network family."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keras_ilsvrc.weights.arrays import Array
from keras_ilsvrc.weights.names import Rules, in_order, layers_of, translate

NORM = re.compile(r"(?:.*[_/])?bn(?:_\w+)?")  # names of our batch normalisation layers
NORM_WORDS = {"weight": "gamma", "bias": "beta"}
# {regular expression of our weight paths: (axis, function that takes the size of this axis and
# returns the indices of the file's entries, in our order)}
Orders = Mapping[str, tuple[int, Callable[[int], Sequence[int]]]]
BGR: Orders = {r"conv1(_1|a)?/kernel": (2, lambda channels: range(channels)[::-1])}


@dataclass(frozen=True)
class Layout:
    """Description of how files name and store weights. Regular expressions match whole names.

    Attributes:
        tensors: {regular expression of their tensor names: `layer/word`, with their layer name and
            our word for the kind of weight}. Words are kernel, bias, gamma, beta, moving_mean and
            moving_variance. In addition, `weight` means a kernel or a gamma, `bias` can also mean a
            beta, and `factor` means the number by which Caffe's statistics are to be divided.
        layers: {regular expression of their layer names: our layer name}.
        chains: {regular expression of their numbered layer names: our layer names in the order of
            these numbers}. An empty sequence means all other layers of the model, in order.
        ignored: Regular expression of the names of tensors that correspond to none of our weights.
        channels_first: Whether kernels are (out, in, rows, columns) and matrices (out, in), with
            the entries of a flattened map in the order (C, H, W). If not, all are as in Keras.
        matrices_first: Whether matrices are (out, in) if `channels_first` is True. If not, they
            are (in, out), as in Keras.
        orders: Axes of weights along which the order of the entries differs from ours. `BGR`
            reverses the channels of the first filters of a network trained on BGR images.
        biases_folded: Whether biases that our convolutions lack are folded into the means of BN.
        gammas: Whether batch normalisation has gammas; if not, ours are set to 1.
        classifier: Regular expression of our layer names that make up the classifier.
        dense: Regular expression of the names of our dense layers before the classifier, which
            models with `include_top=False` lack.
    """

    tensors: Rules
    layers: Rules = field(default_factory=dict)
    chains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignored: str = r".*\bnum_batches_tracked"
    channels_first: bool = True
    matrices_first: bool = True
    orders: Orders = field(default_factory=dict)
    biases_folded: bool = False
    gammas: bool = True
    classifier: str = "logits|fc8"
    dense: str = "fc6|fc7"

    def paths(self, names: Iterable[str], own: Sequence[str] = ()) -> dict[str, str | None]:
        """Return {tensor name: path of our weight}, without ignored tensors.

        The path is None if no rule matches. The prefix `module.`, which torch's DataParallel adds
        to names, is ignored.

        Args:
            names: Names of the tensors.
            own: Layer names of our model, for chains with an empty sequence. If there are none, the
                layers of such chains keep their names.
        """
        spelled: dict[str, str | None] = {}
        for name in names:
            bare = name.removeprefix("module.")
            if not re.fullmatch(self.ignored, bare):
                spelled[name] = translate(bare, self.tensors)
        theirs = layers_of(path for path in spelled.values() if path)
        ours: dict[str, str | None] = {layer: translate(layer, self.layers) for layer in theirs}
        ours |= in_order(theirs, self.chains, own or theirs)
        return {name: path and self._path(path, ours) for name, path in spelled.items()}

    def _path(self, path: str, ours: Mapping[str, str | None]) -> str | None:
        layer, _, word = path.rpartition("/")
        place = ours[layer]
        if place is None:
            return None
        words = NORM_WORDS if NORM.fullmatch(place) else {"weight": "kernel"}
        return f"{place}/{words.get(word, word)}"

    def permuted(self, path: str, array: Array) -> Array:
        """Return the array of our weight `path` with the entries along each axis in our order."""
        for pattern, (axis, order) in self.orders.items():
            if axis < len(array.shape) and re.fullmatch(pattern, path):
                array = array.ordered(axis, order(array.shape[axis]))
        return array

    def is_classifier(self, path: str) -> bool:
        """Return whether one of our weights belongs to a classifier, main or auxiliary."""
        return bool(re.fullmatch(rf"({self.classifier}|aux\w*logits)/\w+", path))

    def is_dense(self, path: str) -> bool:
        """Return whether one of our weights belongs to a dense layer before the classifier."""
        return bool(re.fullmatch(rf"({self.dense})/\w+", path))


def is_auxiliary(path: str) -> bool:
    """Return whether one of our weights belongs to a branch with an auxiliary classifier."""
    return path.startswith("aux")
