"""List of the training images that cannot be decoded, and of the images used instead."""

import json
from collections.abc import Iterable, Sequence

import numpy as np

from keras_ilsvrc.data.fingerprint import kept_for
from keras_ilsvrc.data.headers import Fault, own_limit
from keras_ilsvrc.data.order import indices_of_step
from keras_ilsvrc.data.split import Split, examined
from keras_ilsvrc.utils.bars import in_threads
from keras_ilsvrc.utils.errors import InputError


class LeftOut:
    """List of the bad images of a split, which training leaves out.

    Training uses the next good image of the split instead of a bad image. The order of all other
    images does not change, so a resumed run trains on the same images as an uninterrupted run.

    Args:
        split: Training images.
        batch_size: Number of images in a batch, over all replicas.
        seed: Seed of the order.
        limit: Maximum number of files left out.
        opening: Faults of files that were left out when the data source was opened. No split
            contains these files, but they count towards the limit.

    Raises:
        InputError: If `opening` contains more faults than the limit.
    """

    def __init__(
        self, split: Split, batch_size: int, seed: int, limit: int, opening: Sequence[Fault] = ()
    ):
        self.split, self.batch_size, self.seed, self.limit = split, batch_size, seed, limit
        self.opening = [str(fault) for fault in opening]
        self.faults: dict[int, str] = {}
        self._check_limit()

    def listed(self) -> list[str]:
        """Return one line of text for each file left out: its name, the reason and its size."""
        return [*self.opening, *self.faults.values()]

    def find(self, step: int, count: int) -> str | None:
        """Decode the images of `count` training steps, from `step` on; add bad ones to the list.

        Returns:
            Message that names the first bad image that was not yet in the list; None if none is
            new.

        Raises:
            InputError: If more files are left out than the limit.
        """
        indices = indices_of_step(len(self.split), self.batch_size, self.seed, step, count)
        taken = self.stand_ins()
        found = self._examine(indices if taken is None else taken[indices].tolist())
        if not found:
            return None
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return f"left out ({len(self.listed())} of at most {self.limit}): {found[0]}{more}"

    def scan(self) -> Split:
        """Decode all images, and return the split without the images that cannot be decoded.

        For large data sets, the faults are cached for later runs.
        """
        # The name of an image is part of the key of the cache file, since the faults contain paths.
        file = kept_for(self.split, "faults", self.split.name(0))
        held = file.load() if file else {}
        if held:
            self.set_state(json.loads(held["state"].tobytes()))
            self._check_limit()
        else:
            self._examine(range(len(self.split)))
            # A file that could not be read may be readable in a later run.
            unread = any(": cannot be read: " in fault for fault in self.faults.values())
            if file and not unread:
                file.save(state=np.frombuffer(json.dumps(self.get_state()).encode(), "uint8"))
        return self.split[self._good()] if self.faults else self.split

    def stand_ins(self) -> np.ndarray | None:
        """Return the index of the good image to use for each image; None if all images are good."""
        if not self.faults:
            return None
        good = self._good()
        places = np.searchsorted(good, np.arange(len(self.split))) % len(good)
        return good[places]

    def get_state(self) -> dict[str, str]:
        """Return the faults found so far as a dict that JSON can store."""
        return {str(index): fault for index, fault in self.faults.items()}

    def set_state(self, state: dict[str, str]) -> None:
        """Add the faults in a dict that `get_state` has returned."""
        self.faults |= {int(index): fault for index, fault in state.items()}

    def _good(self) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self.split)), list(self.faults))

    def _examine(self, indices: Iterable[int]) -> list[str]:
        """Decode the images at these indices; add new faults to the list and return them."""
        if self.split.pixels is not None:
            return []
        new = [index for index in dict.fromkeys(indices) if index not in self.faults]
        found = []
        with own_limit():
            results = in_threads(lambda index: examined(self.split, index), new, "decoding")
            for index, result in zip(new, results):
                if isinstance(result, Fault):
                    self.faults[index] = str(result)
                    found.append(self.faults[index])
                    self._check_limit()
        return found

    def _check_limit(self) -> None:
        found = self.listed()
        if len(found) > self.limit:
            raise InputError(
                f"{found[-1]}: bad file number {len(found)}, above the limit of {self.limit}; "
                "repair the files, or raise the limit"
            )
