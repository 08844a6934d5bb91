"""Placement of blocks in rows and columns. The columns are computed by igraph."""

from itertools import pairwise

from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.visualize.drawing.blocks import Block
from keras_ilsvrc.visualize.drawing.groups import Links, depths, users_of
from keras_ilsvrc.visualize.drawing.picture import ASIDE

EXTRA = "in a checkout of keras_ilsvrc, run python -m pip install '.[draw]'"


def rows_of(given: Links) -> dict[Block | None, int]:
    """Return the row of each block: the last possible row, unless this makes links longer."""
    rows, users = depths(given), users_of(given)
    for block in reversed(given):
        if users[block] and len(given[block]) <= len(users[block]):
            rows[block] = min(rows[user] for user in users[block]) - 1
    return rows


def columns(
    rows: list[int], edges: list[tuple[int, int]], sides: list[tuple[float, float]]
) -> list[float]:
    """Return the x coordinate of each vertex, so that few links cross and no blocks overlap.

    Args:
        rows: Row of each vertex.
        edges: Links between vertices of neighbouring rows, as pairs of indices.
        sides: Width of each vertex to the left and to the right of its centre, in points.

    Raises:
        InputError: If igraph is needed and not installed.
    """
    if len(set(rows)) == len(rows):
        return [0.0] * len(rows)
    try:
        import igraph
    except ImportError as error:
        raise InputError(f"drawing a network with branches needs igraph: {EXTRA}") from error
    graph = igraph.Graph(len(rows), edges, directed=True)
    found = [x for x, _ in graph.layout_sugiyama(layers=rows, maxiter=200).coords[: len(rows)]]
    scale = 0.0
    order = sorted(range(len(rows)), key=lambda number: (rows[number], found[number]))
    for a, b in pairwise(order):
        if rows[a] == rows[b]:
            needed = sides[a][1] + sides[b][0] + ASIDE
            scale = max(scale, needed / max(found[b] - found[a], 1e-3))
    return [x * scale for x in found]
