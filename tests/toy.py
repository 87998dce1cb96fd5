"""A model folder of a few kilobytes, built from ONNX operators alone: enough to run every path without torch.

Its VAE sees a picture as 8 x 8 blocks (mean colour, and how much lighter the right half is), and its UNet is the exact
denoiser of unit Gaussian latents, bent a little by a convolution and by the prompt: at low strength a mosaic of the
picture, at high strength coloured noise.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 8  # of the text embedding
LATENTS = 4
DEEP = "deep_features"
CHARACTERS = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]


def build(
    folder: Path,
    *,
    prediction: str = "epsilon",
    timestep: str = "float32",
    batch: int | str = "batch",
    instruct: bool = False,
    inpaint: bool = False,
    guidance_width: int = 0,
    shallow: bool = False,
    segments: bool = False,
    tiny: bool = False,
    size: tuple[int, int] | None = None,
    tokens: int | str = "tokens",
) -> Path:
    """Write the folder; ``timestep`` is the type of that input, ``batch`` the UNet's batch (a number fixes it).

    With ``instruct`` the UNet takes the picture's latents too, with ``inpaint`` a mask and those of what it leaves,
    with ``guidance_width`` the guidance scale. With ``shallow`` there is a graph without the convolution and the
    prompt, which takes what those gave before; with ``segments`` the UNet lies there in two parts too, and with
    ``tiny`` a tiny VAE. ``size``: height and width in latents that all graphs are fixed to; ``tokens``: how many the
    UNet takes.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    _json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.39.0"})
    _json(
        folder / "scheduler/scheduler_config.json",
        {
            "_class_name": "PNDMScheduler",
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "num_train_timesteps": 1000,
            "prediction_type": prediction,
            "steps_offset": 1,
        },
    )
    channels = (2 * LATENTS if instruct or inpaint else LATENTS) + inpaint
    unet = {"in_channels": channels, "sample_size": 8, "block_out_channels": [8, 8]}
    _json(folder / "unet/config.json", unet | ({"time_cond_proj_dim": guidance_width} if guidance_width else {}))
    _json(folder / "vae_decoder/config.json", {"latent_channels": LATENTS, "block_out_channels": [8] * 4})
    _tokenizer(folder / "tokenizer")
    _text_encoder(folder / "text_encoder", rng)
    _unet(
        folder / "unet",
        rng,
        timestep,
        batch,
        channels,
        guidance_width,
        shallow,
        segments,
        size or ("height", "width"),
        tokens,
    )
    _vae(folder, size)
    if tiny:
        _tiny_vae(folder, size)
    return folder


def _tokenizer(folder: Path) -> None:
    words = [*CHARACTERS, *(f"{c}</w>" for c in CHARACTERS), "<|startoftext|>", "<|endoftext|>"]
    _json(folder / "vocab.json", {word: index for index, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\n")
    _json(folder / "tokenizer_config.json", {"model_max_length": 77, "pad_token": "<|endoftext|>"})
    _json(folder / "special_tokens_map.json", {"pad_token": "<|endoftext|>"})


def _text_encoder(folder: Path, rng: np.random.Generator) -> None:
    table = rng.normal(size=(2 * len(CHARACTERS) + 2, WIDTH)).astype(np.float32)
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    _save(
        folder,
        [node],
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [_floats("last_hidden_state", ["batch", "length", WIDTH])],
        {"table": table},
    )


def _unet(
    folder: Path,
    rng: np.random.Generator,
    timestep: str,
    batch: int | str,
    channels: int,
    guidance_width: int,
    shallow: bool,
    segments: bool,
    sides: tuple[int | str, int | str],
    tokens: int | str,
) -> None:
    kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[timestep]
    make = helper.make_node
    nodes = [
        make("Cast", ["timestep"], ["t"], to=TensorProto.FLOAT),
        make("Mul", ["t", "rate"], ["decay"]),
        make("Exp", ["decay"], ["exp"]),
        make("Sub", ["one", "exp"], ["share"]),
        make("Slice", ["sample", "first", "last", "axis"], ["noisy"]),
        make("Mul", ["noisy", "share"], ["gaussian"]),
        make("Conv", ["sample", "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        make("ReduceMean", ["encoder_hidden_states", "axis"], ["text"], keepdims=0),
        make("MatMul", ["text", "project"], ["projected"]),
        *([make("MatMul", ["timestep_cond", "tell"], ["told"])] if guidance_width else []),
        make("Add", ["projected", "told"], ["both"]) if guidance_width else make("Identity", ["projected"], ["both"]),
        make("Reshape", ["both", "as_picture"], ["bias"]),
        make("Add", ["convolved", "bias"], ["mixed"]),
        make("Tanh", ["mixed"], [DEEP]),
        make("Mul", [DEEP, "little"], ["small"]),
        make("Add", ["gaussian", "small"], ["out_sample"]),
    ]
    inputs = [
        _floats("sample", [batch, channels, *sides]),
        helper.make_tensor_value_info("timestep", kind, [1]),
        _floats("encoder_hidden_states", [batch, tokens, WIDTH]),
        *([_floats("timestep_cond", [batch, guidance_width])] if guidance_width else []),
    ]
    output, deep, gaussian = (_floats(name, [batch, LATENTS, *sides]) for name in ("out_sample", DEEP, "gaussian"))
    if shallow:
        numbers = {"rate": [-0.005], "one": [1.0], "little": [0.1]}
        limits = {"first": [0], "last": [LATENTS], "axis": [1]}
        weights = {name: np.array(value, np.float32) for name, value in numbers.items()}
        weights |= {name: np.array(value, np.int64) for name, value in limits.items()}
        _save(folder, [*nodes[:6], *nodes[-2:]], [*inputs, deep], [output], weights, "shallow.onnx")
    weights = {
        "rate": np.array([-0.005], np.float32),
        "one": np.array([1.0], np.float32),
        "little": np.array([0.1], np.float32),
        "axis": np.array([1], np.int64),
        "as_picture": np.array([-1, LATENTS, 1, 1], np.int64),
        "kernel": rng.normal(size=(LATENTS, channels, 3, 3)).astype(np.float32) / 3,
        "project": rng.normal(size=(WIDTH, LATENTS)).astype(np.float32),
        "first": np.array([0], np.int64),
        "last": np.array([LATENTS], np.int64),
        **({"tell": rng.normal(size=(guidance_width, LATENTS)).astype(np.float32)} if guidance_width else {}),
    }
    outputs = [output, deep] if shallow else [output]
    _save(folder, nodes, inputs, outputs, weights)
    if segments:
        first, rest = nodes[:6], nodes[6:]
        _save(folder, first, inputs[:2], [gaussian], weights, "segment_0.onnx")
        _save(folder, rest, [inputs[0], *inputs[2:], gaussian], outputs, weights, "segment_1.onnx")


def _vae(folder: Path, size: tuple[int, int] | None) -> None:
    pixels, latents = _sides(size)
    gain = 2.5 / 0.18215  # latents of a picture then have a standard deviation of about 1
    side = np.repeat([-1.0, 1.0], 4)  # left and right half of a block
    encode = np.zeros((2 * LATENTS, 3, 8, 8), np.float32)
    decode = np.zeros((LATENTS, 3, 8, 8), np.float32)
    for colour in range(3):
        encode[colour, colour] = gain / 64
        decode[colour, colour] = 1 / gain
    encode[3] = gain * side / 64
    decode[3] = side / (3 * gain)
    bias = np.array([0.0] * LATENTS + [-6.0] * LATENTS, np.float32)  # a small posterior variance, as real ones have
    _save(
        folder / "vae_encoder",
        [helper.make_node("Conv", ["sample", "kernel", "bias"], ["latent_parameters"], strides=[8, 8])],
        [_floats("sample", ["batch", 3, *pixels])],
        [_floats("latent_parameters", ["batch", 2 * LATENTS, *latents])],
        {"kernel": encode, "bias": bias},
    )
    _save(
        folder / "vae_decoder",
        [
            helper.make_node("ConvTranspose", ["latent_sample", "kernel"], ["wide"], strides=[8, 8]),
            helper.make_node("Clip", ["wide", "low", "high"], ["sample"]),
        ],
        [_floats("latent_sample", ["batch", LATENTS, *latents])],
        [_floats("sample", ["batch", 3, *pixels])],
        {"kernel": decode, "low": np.float32(-1), "high": np.float32(1)},
    )


def _tiny_vae(folder: Path, size: tuple[int, int] | None) -> None:
    """Mean colours alone, as scaled latents; it samples nothing."""
    pixels, latents = _sides(size)
    encode, decode = np.zeros((LATENTS, 3, 8, 8), np.float32), np.zeros((LATENTS, 3, 8, 8), np.float32)
    for colour in range(3):
        encode[colour, colour], decode[colour, colour] = 2.5 / 64, 1 / 2.5
    for name, kind, kernel, given, made in (
        ("tiny_encoder", "Conv", encode, _floats("sample", ["batch", 3, *pixels]), ["batch", LATENTS, *latents]),
        (
            "tiny_decoder",
            "ConvTranspose",
            decode,
            _floats("sample", ["batch", LATENTS, *latents]),
            ["batch", 3, *pixels],
        ),
    ):
        node = helper.make_node(kind, ["sample", "kernel"], ["made"], strides=[8, 8])
        _save(folder / name, [node], [given], [_floats("made", made)], {"kernel": kernel})


def _sides(size: tuple[int, int] | None) -> tuple[list[int | str], list[int | str]]:
    """Height and width of pixels and of latents, names where they may be any."""
    return (["height", "width"], ["h", "w"]) if size is None else ([8 * side for side in size], [*size])


def _floats(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _save(
    folder: Path, nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray], name: str = "model.onnx"
) -> None:
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, folder.name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / name))


def _json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    build(Path(sys.argv[1]))
