"""Networks that are built -> OpenVINO's files, one with the graph and one with its weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from partway.building.network import Network, Value
from partway.checkpoints.values import read
from partway.engines.grafted import grafted
from partway.engines.openvino import library
from partway.engines.weights import Change, Weight
from partway_export.storing import Data, Packed, Quantised, form, uses


class _Partly(NamedTuple):
    """A network with all its weights as inputs, of which those in ``weights`` are taken from files."""

    network: Network
    weights: Mapping[str, Weight]
    exported: None = None

    @property
    def changes(self) -> Mapping[str, Change]:
        """The network's."""
        return self.network.changes

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The network's."""
        return self.network.inputs

    @property
    def outputs(self) -> Mapping[str, Value]:
        """The network's."""
        return self.network.outputs

    def with_files(self) -> bytes:
        """The network's."""
        return self.network.with_files()

    def with_inputs(self) -> bytes:
        """The network's."""
        return self.network.with_inputs()


def write_openvino(network: Network, path: Path, weights: str) -> None:
    """Write ``path`` and its ``.bin``; weights as in `partway_export.storing.form`."""
    openvino = library()
    found, packed, forms = uses(network), {}, []
    places = path.with_name(f"{path.stem}.weights")
    with Data(places) as data:
        kept: dict[str, Weight] = {}
        for name, weight in network.weights.items():
            values = form(read(weight), found[name], weights)
            if isinstance(values, Quantised | Packed):
                packed[name] = _widened(openvino, name, values)
                forms.append(values)  # whose memory OpenVINO uses, and does not keep
            else:
                kept[name] = data.put(values)
    model, mapped = grafted(openvino.Core(), _Partly(network, kept))
    for parameter in list(model.get_parameters()):
        if (constant := packed.get(parameter.get_friendly_name())) is not None:
            parameter.output(0).replace(constant.output(0))
            model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
    openvino.save_model(model, path, compress_to_fp16=False)
    del model, mapped, packed, forms  # the first have the file mapped
    places.unlink()


def many_timesteps(unet: Network) -> Network:
    """The UNet with one timestep for each picture, or one for all, as in optimum's exports."""
    return replace(unet, inputs={**unet.inputs, "timestep": Value("F32", ("steps",))})


def _widened(openvino: Any, name: str, values: Quantised | Packed) -> Any:
    """Operators that make float32 of a constant of that name, which the engine keeps as it is where it can."""
    op = openvino.opset13
    if isinstance(values, Quantised):
        scale = values.scale.reshape(-1, *(1,) * (values.values.ndim - 1))
        constant = op.constant(values.values)
        constant.set_friendly_name(name)
        return op.multiply(op.convert(constant, "f32"), op.constant(scale))
    rows, groups, _ = values.values.shape
    values.values[...] ^= 0x88  # 8 stands for zero there, and here 0 does
    constant = openvino.op.Constant(
        openvino.Tensor(values.values, openvino.Shape([rows, groups, values.size]), openvino.Type.i4)
    )
    constant.set_friendly_name(name)
    wide = op.multiply(op.convert(constant, "f32"), op.constant(values.scale[..., None]))
    return op.reshape(wide, op.constant(np.array(values.shape)), False)
