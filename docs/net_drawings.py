"""Draw all networks, and compare their papers' tables with the built networks.

The pages of the networks show the results. All files are made in one process, and kept in
`_build/nets` until the code that they depend on changes.
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
    for net in nets.values():
        if drawn(net) and not (folder / f"{net.name}.json").is_file():
            _draw(net, folder)
    return folder


def _draw(net, folder):
    # imported only here: Keras takes seconds to import, and is not needed if all drawings exist
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
    # written last: if this file exists, the drawings are complete
    (folder / f"{net.name}.json").write_text(json.dumps(rows), encoding="utf-8")
