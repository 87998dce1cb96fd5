"""A text encoder that takes vectors in place of its tokens' own, for OpenVINO (`partway.engines.token_vectors`)."""

from typing import Any

from partway.engines.token_vectors import GIVEN, VECTORS, unknown

_SAME = ("Convert", "Reshape", "Unsqueeze", "Squeeze")
_AFTER = (*_SAME, "Subtract", "Multiply")


def take_vectors(model: Any) -> None:
    """Change a model so; raises `PackageError` if tokens are not looked up as they are in CLIP."""
    from openvino import PartialShape, Type, op, opset13

    own = _looked_up(model)
    takers = own.get_target_inputs()
    given, vectors = (
        op.Parameter(Type.boolean, PartialShape([-1, -1, 1])),
        op.Parameter(own.get_element_type(), PartialShape([-1, -1, -1])),
    )
    for parameter, name in ((given, GIVEN), (vectors, VECTORS)):
        parameter.set_friendly_name(name)
        parameter.output(0).set_names({name})
    chosen, names = opset13.select(given, vectors, own), own.get_names()
    own.set_names(set())
    chosen.output(0).set_names(names)
    for taker in takers:
        taker.replace_source_output(chosen.output(0))
    model.add_parameters([given, vectors])
    model.validate_nodes_and_infer_types()


def _looked_up(model: Any) -> Any:
    """The output that has the tokens' own vectors."""
    ids = next((one for one in model.inputs if "input_ids" in one.get_names()), model.inputs[0])
    same = {ids.get_node().get_name()}
    for node in model.get_ordered_ops():
        kind, before = node.get_type_name(), [value.get_node().get_name() for value in node.input_values()]
        if kind in _SAME and before[0] in same:
            same.add(node.get_name())
        elif kind == "Gather" and before[1] in same:
            break
    else:
        raise unknown()
    while True:
        takers = [taker.get_node() for taker in node.output(0).get_target_inputs()]
        if len(takers) != 1 or takers[0].get_type_name() not in _AFTER:
            break
        node = takers[0]
    if not node.output(0).get_element_type().is_real():
        raise unknown()
    return node.output(0)
