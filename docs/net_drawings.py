"""Draw all networks, and compare their papers' tables with the built networks.

The pages of the networks show the results. Several processes make the files, which are kept in
`_build/nets` until the code that they depend on changes.
"""

import hashlib
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.table import PRINTED

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "keras_ilsvrc"
KEPT = HERE / "_build" / "nets"
WORKERS = min(4, os.cpu_count() or 1)  # each takes about 1 GB of memory
CODE = ("accounting", "layers", "nets", "visualize/drawing")


def key_of_code():
    """Return a hash of the code that draws networks and counts their parameters."""
    files = sorted(path for part in CODE for path in (PACKAGE / part).rglob("*.py"))
    files += [PACKAGE / "cli" / "accounts.py", Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def drawn(net):
    """Return whether the page of a net has a drawing; a net without a fixed depth has none."""
    return net.parameters is not None


def draw_all(nets=NETS, kept=KEPT):
    """Draw the nets that have no drawing yet, and return the folder with the files of all nets.

    NAME.svg shows a net as blocks, and NAME_volumes.svg as boxes to scale. NAME.json contains the
    rows of its paper's table: label, quantity, printed value, computed value, verdict.
    """
    folder = kept / key_of_code()
    folder.mkdir(parents=True, exist_ok=True)
    for other in kept.iterdir():
        if other != folder:
            shutil.rmtree(other)
    missing = [
        net.name
        for net in nets.values()
        if drawn(net) and not (folder / f"{net.name}.json").is_file()
    ]
    if len(missing) < 2:
        for name in missing:
            _draw(name, folder)
        return folder
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as processes:
        # the newest first: they are the deepest and take longest
        list(processes.map(_draw, reversed(missing), repeat(folder)))
    return folder


def _draw(name, folder):
    # imported only here: Keras takes seconds to import, and is not needed if all drawings exist
    import keras

    from keras_ilsvrc.accounting import account
    from keras_ilsvrc.cli.accounts import printed_rows
    from keras_ilsvrc.nets.build import build
    from keras_ilsvrc.visualize import draw_model

    net = NETS[name]
    with keras.StatelessScope(initialize_variables=False):
        model = build(name)
    draw_model(model, folder / f"{name}.svg")
    draw_model(model, folder / f"{name}_volumes.svg", volumes=True)
    rows = printed_rows(net, model, account(model, opened=True)) if name in PRINTED else []
    # written last: if this file exists, the drawings are complete
    (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
