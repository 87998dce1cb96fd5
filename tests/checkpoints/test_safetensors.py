"""Headers that are right are read, and every other is refused in one line."""

import numpy as np
import pytest

import stored
from partway.checkpoints.safetensors import LONGEST, read_header
from partway.checkpoints.values import read
from partway.errors import PackageError

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
DATA = bytes(8)


def test_tensors_lie_where_the_header_says(tmp_path):
    arrays = {
        "b": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a": np.float16([1.5, -2]),
        "none": np.zeros((0, 4), "f4"),
    }
    header = read_header(stored.write(tmp_path / "w.safetensors", arrays, {"title": "it"}))
    assert header.metadata == {"title": "it"}
    for name, array in arrays.items():
        assert header.weights[name].shape == array.shape
        assert (read(header.weights[name]) == array).all()


def test_a_link_into_a_cache_is_followed(tmp_path):
    blob = stored.write(tmp_path / "0123abcd", {"a": np.ones(3, np.float32)})
    link = tmp_path / "snapshot/model.safetensors"
    link.parent.mkdir()
    link.symlink_to(blob)
    assert read_header(link).weights["a"].source.path == blob


WRONG = {
    "no JSON": (b"{nonsense", DATA, "no header"),
    "no object": (b"[1, 2]", DATA, "no header"),
    "not UTF-8": (b'{"a\xff": 1}', DATA, "no header"),
    "nested without end": (b"[" * 100_000, DATA, "no header"),
    "a name twice": (b'{"a": 1, "a": 2}', DATA, "no header"),
    "numbers for metadata": ({"__metadata__": {"a": 1}, "a": ENTRY}, DATA, "metadata"),
    "an entry without a shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, DATA, "describes a"),
    "a negative size": ({"a": {**ENTRY, "shape": [-2]}}, DATA, "describes a"),
    "a size that is true": ({"a": {**ENTRY, "shape": [True, 2]}}, DATA, "describes a"),
    "offsets the wrong way round": ({"a": {**ENTRY, "data_offsets": [8, 0]}}, DATA, "describes a"),
    "three offsets": ({"a": {**ENTRY, "data_offsets": [0, 4, 8]}}, DATA, "describes a"),
    "a type of another world": ({"a": {**ENTRY, "dtype": "Q4"}}, DATA, "type Q4"),
    "a shape of other bytes": ({"a": {**ENTRY, "shape": [3]}}, DATA, "8 bytes of a"),
    "overlap": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "overlap: a and b"),
    "a hole": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}}, bytes(20), "hole: a and b"),
    "no beginning": ({"a": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12), "hole: the header and a"),
    "cut short": ({"a": ENTRY}, bytes(5), "3 bytes too early"),
    "too long": ({"a": ENTRY}, bytes(9), "1 bytes after"),
    "outside of everything": ({"a": {"dtype": "U8", "shape": [2**62], "data_offsets": [0, 2**62]}}, DATA, "too early"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_header_is_refused_in_one_line(tmp_path, case):
    header, data, says = WRONG[case]
    with pytest.raises(PackageError, match=says) as error:
        read_header(stored.raw(tmp_path / "w.safetensors", header, data))
    assert "\n" not in str(error.value)


STARTS = {
    "a pickle in a zip": (b"PK\x03\x04" + bytes(60), "runs whatever code"),
    "a bare pickle": (b"\x80\x02}q\x00." + bytes(60), "runs whatever code"),
    "GGUF": (b"GGUF" + bytes(60), "GGUF"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "nothing": (b"", "cut short"),
    "a few bytes": (b"\x10", "cut short"),
    "a header that is cut": ((500).to_bytes(8, "little") + b'{"a": ', "cut short"),
}


@pytest.mark.parametrize("case", STARTS)
def test_another_file_is_named(tmp_path, case):
    content, says = STARTS[case]
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(PackageError, match=says):
        read_header(path)


def test_a_header_of_a_hundred_megabytes_is_not_read(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes((100_000_000).to_bytes(8, "little"))
    with path.open("r+b") as file:
        file.truncate(100_000_100)
    with pytest.raises(PackageError, match=f"{LONGEST} are the most"):
        read_header(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PackageError, match="cannot be read"):
        read_header(tmp_path / "w.safetensors")


def test_a_file_that_changes_is_noticed(tmp_path):
    path = stored.write(tmp_path / "w.safetensors", {"a": np.ones(3, np.float32)})
    weight = read_header(path).weights["a"]
    stored.write(path, {"a": np.ones(4, np.float32)})
    with pytest.raises(PackageError, match="has changed"):
        read(weight)


def test_numbers_of_sixteen_and_eight_bits(tmp_path):
    arrays = {
        "bf16": np.uint16([0x3F80, 0xC000, 0x0000]),
        "e4m3": np.uint8([0x38, 0xC0, 0x01, 0x7E, 0x7F]),
        "e5m2": np.uint8([0x3C, 0xC0, 0x01, 0x7B]),
    }
    types = {"bf16": "BF16", "e4m3": "F8_E4M3", "e5m2": "F8_E5M2"}
    weights = read_header(stored.write(tmp_path / "w.safetensors", arrays, types=types)).weights
    assert read(weights["bf16"]).tolist() == [1, -2, 0]
    assert read(weights["e4m3"])[:4].tolist() == [1, -2, 2**-9, 448] and np.isnan(read(weights["e4m3"])[4])
    assert read(weights["e5m2"]).tolist() == [1, -2, 2**-16, 57344]


def test_a_third_of_the_rows(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(6, 2)
    weight = read_header(stored.write(tmp_path / "w.safetensors", {"a": array})).weights["a"]
    assert [read(weight.part(index, 3)).tolist() for index in range(3)] == array.reshape(3, 2, 2).tolist()
