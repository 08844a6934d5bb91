"""Drawings of all nets, and their papers' tables beside ours, for the page of each net.

They are made in one process and kept in `_build/nets`, until the code that they depend on changes.
"""

import hashlib
import json
import shutil
from pathlib import Path

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.table import PRINTED

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "keras_ilsvrc"
KEPT = HERE / "_build" / "nets"
CODE = ("accounting", "layers", "nets", "visualize/drawing")


def key_of_code():
    """Return a hash of the code that draws and counts nets."""
    files = sorted(path for part in CODE for path in (PACKAGE / part).rglob("*.py"))
    files += [PACKAGE / "cli" / "accounts.py", Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def drawn(net):
    """Return whether the page of a net has a drawing: the user does not choose its depth."""
    return net.parameters is not None


def draw_all(nets=NETS, kept=KEPT):
    """Draw the nets that are not drawn yet, and return the folder with their files.

    NAME.svg shows a net as blocks, and NAME_volumes.svg as boxes to scale. NAME.json holds the rows
    of its paper's table: label, quantity, printed, computed, verdict.
    """
    folder = kept / key_of_code()
    folder.mkdir(parents=True, exist_ok=True)
    for other in kept.iterdir():
        if other != folder:
            shutil.rmtree(other)
    for net in nets.values():
        if drawn(net) and not (folder / f"{net.name}.json").is_file():
            _draw(net, folder)
    return folder


def _draw(net, folder):
    # Keras takes seconds to import, and is not needed if all nets are drawn.
    import keras

    from keras_ilsvrc.accounting import account
    from keras_ilsvrc.cli.accounts import printed_rows
    from keras_ilsvrc.nets.build import build
    from keras_ilsvrc.visualize import draw_model

    with keras.StatelessScope(initialize_variables=False):
        model = build(net.name)
    draw_model(model, folder / f"{net.name}.svg")
    draw_model(model, folder / f"{net.name}_volumes.svg", volumes=True)
    rows = printed_rows(net, model, account(model, opened=True)) if net.name in PRINTED else []
    # The last file to be written: it says that all are whole.
    (folder / f"{net.name}.json").write_text(json.dumps(rows), encoding="utf-8")
