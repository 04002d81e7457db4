"""A layered layout: edges go from left to right, and few of them cross.

The layers are those of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(IEEE Transactions on Systems, Man, and Cybernetics, 1981): back edges are left out, each node is as far right as its
longest path, nodes of a layer are ordered by the mean position of their neighbours, and their distances are the least
squares that keep this order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layout", "layered"]

COLUMN, ROW = 280.0, 46.0
"""The distances of two columns and of two rows, in pixels."""

_SWEEPS = 10
_GAP = 1.0  # rows between two unconnected parts


@dataclass(frozen=True)
class Layout:
    """Where nodes are.

    Attributes:
        x, y: the centre of each node, in pixels.
        back: the edges that close a cycle, as indexes of the given edges.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    back: tuple[int, ...] = ()


def layered(count: int, edges: Sequence[tuple[int, int]]) -> Layout:
    """Return a layout. The same input gives the same output.

    Args:
        count: the number of nodes.
        edges: pairs of nodes, as indexes from 0; each goes from left to right, unless it closes a cycle.
    """
    back = _back_edges(count, edges)
    forward = [edge for index, edge in enumerate(edges) if index not in back and edge[0] != edge[1]]
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for one, other in dict.fromkeys(forward):
        after[one].append(other)
        before[other].append(one)
    column = _columns(count, before, after)
    x, y = [0.0] * count, [0.0] * count
    top = 0.0
    single: list[int] = []
    for part in _parts(count, before, after):
        if len(part) == 1:
            single.extend(part)
            continue
        rows = _rows(part, column, before, after)
        lowest, highest = min(rows.values()), max(rows.values())
        for node, row in rows.items():
            x[node], y[node] = column[node] * COLUMN, (top + row - lowest) * ROW
        top += highest - lowest + 1 + _GAP
    width = max([4, *(column[node] + 1 for node in range(count))])
    for place, node in enumerate(single):
        x[node], y[node] = (place % width) * COLUMN, (top + place // width) * ROW
    return Layout(tuple(x), tuple(y), tuple(sorted(back)))


def _back_edges(count: int, edges: Sequence[tuple[int, int]]) -> set[int]:
    """Return the edges that lead back to a node on the path of a depth-first search."""
    after: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    incoming = [0] * count
    for index, (one, other) in enumerate(edges):
        after[one].append((other, index))
        incoming[other] += 1
    found: set[int] = set()
    state = [0] * count  # 0 new, 1 on the path, 2 done
    for start in sorted(range(count), key=lambda node: (incoming[node] > 0, node)):
        if state[start]:
            continue
        state[start] = 1
        stack = [(start, iter(after[start]))]
        while stack:
            node, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                state[node] = 2
                stack.pop()
            elif state[step[0]] == 1:
                found.add(step[1])
            elif state[step[0]] == 0:
                state[step[0]] = 1
                stack.append((step[0], iter(after[step[0]])))
    return found


def _columns(count: int, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[int]:
    """Return the column of each node: its longest path from the left. What nothing precedes is close to what it feeds."""
    missing = [len(found) for found in before]
    column = [0] * count
    todo = deque(node for node in range(count) if not missing[node])
    while todo:
        node = todo.popleft()
        for other in after[node]:
            column[other] = max(column[other], column[node] + 1)
            missing[other] -= 1
            if not missing[other]:
                todo.append(other)
    for node in range(count):
        if not before[node] and after[node]:
            column[node] = min(column[other] for other in after[node]) - 1
    return column


def _parts(count: int, before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the connected parts, the largest first."""
    seen = [False] * count
    parts = []
    for start in range(count):
        if seen[start]:
            continue
        seen[start] = True
        part, todo = [], [start]
        while todo:
            node = todo.pop()
            part.append(node)
            for other in (*before[node], *after[node]):
                if not seen[other]:
                    seen[other] = True
                    todo.append(other)
        parts.append(sorted(part))
    return sorted(parts, key=lambda part: (-len(part), part[0]))


def _rows(
    part: Sequence[int], column: Sequence[int], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]
) -> dict[int, float]:
    """Return the row of each node of a connected part."""
    layers: dict[int, list[int]] = {}
    for node in part:
        layers.setdefault(column[node], []).append(node)
    order = [layers[number] for number in sorted(layers)]
    row: dict[int, float] = {}
    for layer in order:
        _place(layer, row, {node: float(index) for index, node in enumerate(layer)})
    for sweep in range(_SWEEPS):
        sides = (before, after) if sweep % 2 == 0 else (after, before)
        for layer in order if sweep % 2 == 0 else reversed(order):
            wanted = {node: _mean(sides[0][node], row, _mean(sides[1][node], row, row[node])) for node in layer}
            _place(layer, row, wanted)
    for layer in (*order, *reversed(order)):
        _place(layer, row, {node: _mean((*before[node], *after[node]), row, row[node]) for node in layer})
    return row


def _mean(nodes: Sequence[int], row: dict[int, float], default: float) -> float:
    return sum(row[node] for node in nodes) / len(nodes) if nodes else default


def _place(layer: list[int], row: dict[int, float], wanted: dict[int, float]) -> None:
    """Order a layer by where its nodes want to be, and give each the row closest to that, at least one row apart.

    This is an isotonic regression of ``wanted - index``, by the algorithm of adjacent violators.
    """
    layer.sort(key=lambda node: (wanted[node], row.get(node, 0.0), node))
    blocks: list[list[float]] = []  # sum, size
    for index, node in enumerate(layer):
        blocks.append([wanted[node] - index, 1.0])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            total, size = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += size
    index = 0
    for total, size in blocks:
        for _ in range(int(size)):
            row[layer[index]] = total / size + index
            index += 1
