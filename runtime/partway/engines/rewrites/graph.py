"""Walks of OpenVINO graphs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from partway.support.reach import reach

Mark = TypeVar("Mark")


def above(nodes: Iterable[Any]) -> list[Any]:
    """The nodes and all that they depend on."""
    return reach(nodes, _inputs, key=lambda node: node.get_name())


def parameters(nodes: Iterable[Any]) -> list[Any]:
    """The parameters that the nodes depend on, which a model of theirs takes."""
    return [node for node in above(nodes) if node.get_type_name() == "Parameter"]


def marked(model: Any, mark: Callable[[Any, Sequence[Mark]], Mark]) -> list[tuple[Any, Mark]]:
    """Every node in the order of computation, with its mark: ``mark`` of the node and of its inputs' marks."""
    marks: dict[str, Mark] = {}
    nodes = model.get_ordered_ops()
    for node in nodes:
        marks[node.get_name()] = mark(node, [marks[before.get_name()] for before in _inputs(node)])
    return [(node, marks[node.get_name()]) for node in nodes]


def _inputs(node: Any) -> list[Any]:
    return [value.get_node() for value in node.input_values()]
