"""Merged self-attention: what it must equal, that its graph computes the same, and the table."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from benchmarks import tables  # noqa: E402
from benchmarks.token_merging import KINDS, Merging, _Two, block, write_onnx  # noqa: E402

CHANNELS, HEADS, TEXT, SIDE = 16, 2, 8, 8


def blocks(*kinds):
    return [block(kind, CHANNELS, HEADS, TEXT) for kind in kinds]


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, SIDE * SIDE, CHANNELS, generator=generator), torch.randn(2, 5, TEXT, generator=generator)


@pytest.mark.parametrize("window", [False, True])
def test_nothing_merged_is_the_plain_block(window):
    plain, merged = blocks(None, Merging(0, window))
    x, text = inputs()
    with torch.no_grad():
        assert torch.allclose(_Two(plain)(x, text), _Two(merged)(x, text), atol=1e-5)


@pytest.mark.parametrize("window", [False, True])
def test_windows_of_equal_tokens_lose_nothing(window):
    """Four equal keys share out one key's weight, so with all of them merged the output stays."""
    plain, merged = blocks(None, Merging(0.75, window))
    x, text = inputs()
    few = x.reshape(2, SIDE, SIDE, CHANNELS)[:, ::2, ::2]
    x = few.repeat_interleave(2, 1).repeat_interleave(2, 2).reshape(2, -1, CHANNELS)
    with torch.no_grad():
        assert torch.allclose(_Two(plain)(x, text), _Two(merged)(x, text), atol=1e-5)


def test_the_most_alike_are_merged_and_share_an_output():
    """Of unlike tokens, two equal ones in a window are the pair that goes."""
    x = torch.randn(1, SIDE * SIDE, CHANNELS, generator=torch.Generator().manual_seed(1))
    x[0, 9] = x[0, 0]
    for window in (False, True):
        attention = blocks(Merging(1 / (SIDE * SIDE), window))[0].attn1
        seen = []
        attention.attention.register_forward_pre_hook(lambda module, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            out = attention(x)
        assert seen[0].shape == (1, SIDE * SIDE - 1, CHANNELS)
        assert torch.equal(out[0, 9], out[0, 0]) and not torch.equal(out[0, 9], out[0, 1])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_graph_computes_what_torch_does(tmp_path: Path, kind):
    [merged] = blocks(kind)
    with torch.no_grad():
        write_onnx(merged, inputs(), tmp_path / "block.onnx")
        x, text = inputs(2)
        expected = _Two(merged)(x, text).numpy()
    session = onnxruntime.InferenceSession(str(tmp_path / "block.onnx"))
    found = session.run(None, {"x": x.numpy(), "text": text.numpy()})[0]
    assert np.abs(found - expected).max() < 1e-4


def test_the_table_joins_speed_and_likeness():
    def timed(engine, merging, seconds, **more):
        saved = 5 * (0.4 - seconds)
        row = {"what": "block", "engine": engine, "merging": merging, "seconds": seconds, "saved_seconds": saved}
        return row | more

    found = [
        timed("openvino bf16 static", None, 0.4, call_seconds=4.0),
        timed("openvino bf16 static", "anywhere, 0.5", 0.32, call_seconds=4.0),
        timed("onnxruntime fp32", None, 0.4),
        timed("onnxruntime fp32", "anywhere, 0.5", 0.44),
        {"what": "pictures", "merging": "anywhere, 0.5", "ssim_mean": {"0.45": 0.97}, "ssim_least": {"0.45": 0.9}},
    ]
    assert tables.token_merging(found).splitlines() == [
        "| tokens merged into, share | openvino bf16 static, ms a block | saves of a call | "
        "onnxruntime fp32, ms a block | saves of a call | SSIM at 0.45 (least) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| none | 400 | - | 400 | - | - |",
        "| anywhere, 0.5 | 320 | 0.40 s, 10.0 % | 440 | -0.20 s | 0.970 (0.900) |",
    ]
