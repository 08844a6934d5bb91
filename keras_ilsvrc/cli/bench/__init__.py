"""The `bench` commands, which compare the speed of our code with that of other libraries."""

from collections.abc import Callable

import typer

from keras_ilsvrc.cli.bench import (
    deploy,
    depth,
    layers,
    net,
    page,
    profile,
    scale,
    training,
    visualize,
    weights,
)
from keras_ilsvrc.cli.bench import input as input_

app = typer.Typer(no_args_is_help=True, help="Measure speed, and compare it with other libraries.")
# The commands by name, in the order in which --help lists them.
COMMANDS: dict[str, Callable[..., None]] = {
    "layers": layers.layers,
    "net": net.net,
    "deploy": deploy.deploy,
    "profile": profile.profile,
    "training": training.training,
    "depth": depth.depth,
    "scale": scale.scale,
    "input": input_.input_,
    "visualize": visualize.visualize,
    "weights": weights.weights,
    "page": page.page,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
