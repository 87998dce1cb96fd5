"""GGUF files, written byte by byte: what is read lies where it should, and all else is refused in one line."""

import struct

import numpy as np
import pytest

import checkpoint_shapes as small
import partway
import stored
from partway.building.networks import networks
from partway.checkpoints.headers import read_header
from partway.checkpoints.single_file import open_file
from partway.checkpoints.values import read
from partway.errors import PackageError

F32, F16, Q4_0, Q8_0, BF16 = 0, 1, 2, 8, 30
TYPES = {"float32": F32, "float16": F16, "uint16": BF16}


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def packed(values):
    """Blocks of Q8_0, and the numbers that they stand for."""
    blocks = values.reshape(-1, 32)
    scale = (np.abs(blocks).max(axis=1, keepdims=True) / 127).astype(np.float16)
    steps = np.rint(blocks / np.maximum(scale.astype(np.float32), 1e-8)).clip(-127, 127).astype(np.int8)
    data = b"".join(one.tobytes() + row.tobytes() for one, row in zip(scale, steps, strict=True))
    return data, (scale.astype(np.float32) * steps).reshape(values.shape)


def write(path, tensors, entries=(), version=3):
    """``tensors``: (shape, type, bytes) by name; ``entries``: name and packed value."""
    head, data = b"", b""
    for name, (shape, kind, content) in tensors.items():
        data += bytes(-len(data) % 32)
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += content
    told = b"".join(text(name) + value for name, value in entries)
    start = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)) + told + head
    path.write_bytes(start + bytes(-len(start) % 32) + data)
    return path


def plain(array):
    return array.shape, TYPES[array.dtype.name], array.tobytes()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTWAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_tensors_lie_in_the_file_itself(tmp_path, cache):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float16([[1.5], [-2]])}
    entries = [("general.name", struct.pack("<I", 8) + text("it")), ("n", struct.pack("<IIQ2i", 9, 5, 2, 1, 2))]
    path = write(tmp_path / "w.gguf", {name: plain(array) for name, array in arrays.items()}, entries)
    header = read_header(path)
    assert header.metadata == {"general.name": "it"}
    for name, array in arrays.items():
        assert header.weights[name].source.path == path
        assert (read(header.weights[name]) == array).all()
    assert not cache.exists()


def test_packed_numbers_are_unpacked_once(tmp_path, cache):
    values = np.random.default_rng(0).standard_normal((4, 64), np.float32)
    data, meant = packed(values)
    other = np.float32([1, 2, 3])
    shape = ("comfy.gguf.orig_shape.w", struct.pack("<IIQ4i", 9, 5, 4, 4, 16, 2, 2))
    path = write(tmp_path / "w.gguf", {"w": ((4, 64), Q8_0, data), "o": plain(other)}, [shape])
    for _ in range(2):
        header = read_header(path)
        assert header.weights["w"].shape == (4, 16, 2, 2)
        assert np.abs(read(header.weights["w"]).reshape(4, 64) - meant).max() < 1e-3 * np.abs(meant).max()
        assert (read(header.weights["o"]) == other).all()
        (made,) = cache.rglob("*.safetensors")
        before = made.stat().st_mtime_ns
    assert made.stat().st_mtime_ns == before


def test_a_whole_model_and_a_unet_beside_one(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in small.sd1().items()}
    whole = write(tmp_path / "whole.gguf", {name: plain(array) for name, array in arrays.items()})
    assert {"unet", "vae_encoder", "text_encoder"} <= networks(open_file(whole)).keys()
    prefix = "model.diffusion_model."
    alone = {name.removeprefix(prefix): plain(a) for name, a in arrays.items() if name.startswith(prefix)}
    unet = write(tmp_path / "unet.gguf", alone)
    with pytest.raises(PackageError, match=r"without its text encoder; .* give one of its kind with: --vae FILE"):
        open_file(unet)
    other = stored.write(tmp_path / "other.safetensors", arrays)
    parts = open_file(unet, vae=other).parts
    places = {name: {weight.source.path.name for weight in part.weights.values()} for name, part in parts.items()}
    assert places == {"unet": {"unet.gguf"}, "vae": {"other.safetensors"}, "text_encoder": {"other.safetensors"}}


def test_pictures_are_those_of_the_same_weights(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        name: (rng.standard_normal(shape) / max(1, np.prod(shape[1:])) ** 0.5).astype(np.float16)
        for name, shape in small.sd1().items()
    }
    linear = [name for name, array in arrays.items() if array.ndim == 2 and "diffusion_model" in name]
    eight = {name: ((*arrays[name].shape,), Q8_0, packed(arrays[name].astype(np.float32))[0]) for name in linear}
    assert len(eight) > 20
    models = [
        stored.write(tmp_path / "whole.safetensors", arrays),
        write(tmp_path / "half.gguf", {name: plain(array) for name, array in arrays.items()}),
        write(tmp_path / "eight.gguf", {name: eight.get(name) or plain(array) for name, array in arrays.items()}),
    ]
    picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
    made = [
        np.asarray(partway.load(model).img2img(picture, "a room", steps=2, strength=0.5).image, float)
        for model in models
    ]
    assert (made[0] == made[1]).all()
    assert 0 < np.abs(made[0] - made[2]).mean() < 3


@pytest.mark.parametrize(
    ("kind", "words"), [(Q4_0, "w as Q4_0; partway reads F32, F16, BF16 and Q8_0"), (12, "Q4_K"), (99, "type 99")]
)
def test_fewer_bits_are_named(tmp_path, kind, words):
    path = write(tmp_path / "w.gguf", {"w": ((1, 32), kind, bytes(64))})
    with pytest.raises(PackageError, match=words) as error:
        read_header(path)
    assert "\n" not in str(error.value)


GOOD = {"w": plain(np.zeros((4, 4), np.float32))}
WRONG = {
    "another version": lambda path: write(path, GOOD, version=9),
    "a header cut short": lambda path: path.write_bytes(write(path, GOOD).read_bytes()[:40]),
    "a tensor cut short": lambda path: path.write_bytes(write(path, GOOD).read_bytes()[:-4]),
    "a name of any length": lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 2**60)),
    "tensors without end": lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0)),
    "an alignment of nothing": lambda path: write(path, GOOD, [("general.alignment", struct.pack("<II", 4, 0))]),
    "a value of no type": lambda path: write(path, GOOD, [("x", struct.pack("<II", 77, 0))]),
    "a list without end": lambda path: write(path, GOOD, [("x", struct.pack("<IIQ", 9, 4, 2**60))]),
    "rows of no blocks": lambda path: write(path, {"w": ((2, 16), Q8_0, bytes(34))}),
    "no name": lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 2) + b"\xff\xff"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, case):
    path = tmp_path / "w.gguf"
    WRONG[case](path)
    with pytest.raises(PackageError, match="download it again") as error:
        read_header(path)
    assert "\n" not in str(error.value)
