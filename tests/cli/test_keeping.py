"""Every task keeps what pictures have; what a file cannot hold is said before the work; inputs stay as they are."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from command import Captured, pixels, refused, run
from partway.pictures import images

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TASKS = {
    "img2img": [],
    "inpaint": ["mask.png"],
    "outpaint": ["--right", "16"],
    "upscale": ["--scale", "1.5"],
}


@pytest.fixture(autouse=True)
def mask(desk: Path) -> None:
    half = np.zeros((40, 52), np.uint8)
    half[:, 26:] = 255
    Image.fromarray(half).save("mask.png")


def arguments(task: str, picture: str, model: Path, output: str, *flags: object) -> list[object]:
    more = TASKS[task]
    mask = [one for one in more if one.endswith(".png")]
    rest = [one for one in more if one not in mask]
    return [task, picture, *mask, "a cat", "-m", model, "--steps", 2, "-q", "-o", output, *rest, *flags]


@pytest.mark.parametrize("strength", [0, 0.6])
@pytest.mark.parametrize("task", TASKS)
def test_profile_and_transparency_come_through(capsys: Captured, model: Path, task: str, strength: float) -> None:
    picture = Image.open("room.png").convert("RGBA")
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(0, (0, 0, 20, 40))
    picture.putalpha(alpha)
    picture.save("clear.png", icc_profile=SRGB)
    code, _, err = run(capsys, *arguments(task, "clear.png", model, "out.png", "--strength", strength))
    assert (code, err) == (0, "")
    with Image.open("out.png") as made:
        assert made.mode == "RGBA" and made.info["icc_profile"] == SRGB
        channel = np.asarray(made.getchannel("A"))
    assert channel[5, 5] == 0 and channel[5, -5] == 255


@pytest.mark.parametrize("name", ["grey.png", "grey.tif"])
@pytest.mark.parametrize("task", TASKS)
def test_16_bits_are_kept_at_strength_0(capsys: Captured, model: Path, task: str, name: str) -> None:
    ramp = np.linspace(0, 65535, 40 * 52).astype(np.uint16).reshape(40, 52)
    Image.fromarray(ramp).save(name)
    assert run(capsys, *arguments(task, name, model, "out.png", "--strength", 0))[0] == 0
    with Image.open("out.png") as made:
        assert made.mode == "I;16"
        here = np.asarray(made)
    if task == "upscale":
        assert here.shape == (60, 78) and len(np.unique(here)) > 1000
    else:
        np.testing.assert_array_equal(here[:40, :52], ramp)
    assert "8 bits of the picture's 16" in run(capsys, *arguments(task, name, model, "out.jpg", "--strength", 0))[2]
    assert run(capsys, *arguments(task, name, model, "out.jpg", "--strength", 0.5))[2] == ""


def test_colours_of_16_bits_are_said_to_be_read_with_8(capsys: Captured, model: Path) -> None:
    head = struct.pack(">IIBBBBB", 64, 40, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(range(128)) * 3 for _ in range(40))
    write("deep.png", [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])
    code, _, err = run(capsys, *arguments("img2img", "deep.png", model, "out.png", "--strength", 0))
    assert (code, err) == (0, "partway: warning: deep.png has 16 bits a colour, of which 8 are read\n")


def write(name: str, chunks: list[tuple[bytes, bytes]]) -> None:
    whole = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    Path(name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))


def with_chunk(kind: bytes, body: bytes, *, last: bool = False) -> np.ndarray:
    """big.png: the room with one chunk more, before its pixels or after them."""
    at, whole, chunks = 8, Path("room.png").read_bytes(), []
    while at < len(whole):
        length = int.from_bytes(whole[at : at + 4], "big")
        chunks.append((whole[at + 4 : at + 8], whole[at + 8 : at + 8 + length]))
        at += 12 + length
    chunks.insert(len(chunks) - 1 if last else 1, (kind, body))
    write("big.png", chunks)
    return pixels("room.png")


LARGE = zlib.compress(b'{"nodes": "' + b"a" * 3_000_000 + b'"}')
PROFILE = b"\0" * 16 + b"RGB " + b"\0" * 2_000_000


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"workflow\0\0" + LARGE),
        (b"iTXt", b"workflow\0\1\0en\0workflow\0" + LARGE),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 40_000_000),
        (b"tEXt", b"workflow\0" + b"x" * 70_000_000),
    ],
    ids=["compressed", "international", "plain", "many"],
)
def test_text_of_any_size_does_not_keep_a_picture_from_being_read(
    capsys: Captured, model: Path, kind: bytes, body: bytes, last: bool
) -> None:
    there = with_chunk(kind, body, last=last)
    assert run(capsys, *arguments("img2img", "big.png", model, "out.png", "--strength", 0))[0] == 0
    assert (pixels("out.png") == there).all()


def test_a_profile_of_any_size_is_kept(capsys: Captured, model: Path) -> None:
    with_chunk(b"iCCP", b"big\0\0" + zlib.compress(PROFILE))
    assert run(capsys, *arguments("img2img", "big.png", model, "out.png", "--strength", 0.5))[0] == 0
    assert images.read("out.png").icc_profile == PROFILE


def test_a_record_beside_a_large_text_is_replayed(capsys: Captured, model: Path) -> None:
    run(capsys, *arguments("img2img", "room.png", model, "made.png", "--strength", 0.5))
    Path("made.png").replace("room.png")
    with_chunk(b"zTXt", b"workflow\0\0" + LARGE)
    code, _, _ = run(capsys, "img2img", "room.png", "--from-png", "big.png", "-m", model, "-q", "-o", "again.png")
    assert code == 0


def test_what_jpeg_cannot_hold_is_said(capsys: Captured, model: Path) -> None:
    Image.open("room.png").convert("LA").save("clear.png")
    clear = Image.new("LA", (52, 40), (90, 30))
    clear.save("clear.png")
    for name, said in (("out.jpg", True), ("out.webp", False), ("out.png", False)):
        err = run(capsys, *arguments("img2img", "clear.png", model, name))[2]
        assert ("laid on white" in err) == said
    long = "a cat, " * 9000
    err = run(capsys, "txt2img", long, "-m", model, "--steps", 1, "-q", "-o", "long.jpg")[2]
    assert "cannot be replayed" in err
    err = run(capsys, "txt2img", long, "-m", model, "--steps", 1, "-q", "-o", "long.webp")[2]
    assert "cannot be replayed" not in err
    assert run(capsys, "txt2img", "--from-png", "long.webp", "-m", model, "-q", "-o", "again.png")[0] == 0


def test_a_side_that_webp_does_not_hold_is_told_before_the_work(capsys: Captured, model: Path) -> None:
    Image.new("RGB", (16384, 8), "teal").save("long.png")
    Image.new("RGB", (8192, 8), "teal").save("half.png")
    Image.new("L", (16384, 8), 255).save("mask.png")
    for command in (
        arguments("img2img", "long.png", model, "out.webp"),
        arguments("inpaint", "long.png", model, "out.webp"),
        ["upscale", "half.png", "-m", model, "--scale", 2, "-o", "out.webp"],
        ["outpaint", "half.png", "a", "-m", model, "--left", 8192, "-o", "out.webp"],
    ):
        assert "16384x" in refused(capsys, *command)


@pytest.mark.parametrize("task", TASKS)
def test_no_input_is_overwritten(capsys: Captured, model: Path, task: str) -> None:
    run(capsys, *arguments(task, "room.png", model, "made.png"))
    Path("link.png").symlink_to("mask.png")
    inputs = ["room.png", "made.png", *(["mask.png", "link.png"] if task == "inpaint" else [])]
    for name in inputs:
        before = Path(name).read_bytes()
        told = refused(capsys, *arguments(task, "room.png", model, name, "--from-png", "made.png"))
        assert "is the input itself" in told and Path(name).read_bytes() == before


def test_files_that_only_other_programs_decode_are_not_damaged(capsys: Captured, model: Path, monkeypatch) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", False)
    Path("a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n")
    head = b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhHIH", 0, 0, 64, 64, 96, 0, 0) + b"\x01\x00\x09\x00\x00\x03"
    Path("a.wmf").write_bytes(head + b"\0" * 30)
    Path("a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    for name, kind in (("a.eps", "EPS"), ("a.wmf", "WMF"), ("a.h5", "HDF5")):
        assert f"{name} is {kind}, which Pillow cannot decode here" in refused(
            capsys, "img2img", name, "a", "-m", model
        )


def test_a_mask_s_transparency_is_told_and_used(capsys: Captured, model: Path) -> None:
    mask = Image.new("RGBA", (52, 40), "white")
    mask.putalpha(Image.fromarray(255 - pixels("mask.png")))
    mask.save("mask.png")
    code, _, err = run(capsys, *arguments("inpaint", "room.png", model, "out.png", "--strength", 0.8))
    assert code == 0 and err.count("\n") == 1 and "what is transparent changes" in err
    assert (pixels("out.png")[:, :26] == pixels("room.png")[:, :26]).all()
    assert (pixels("out.png")[:, 26:] != pixels("room.png")[:, 26:]).any()


def test_pictures_in_memory_keep_what_files_do(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(file, "PNG", icc_profile=SRGB)
    picture = images.read(Image.open(file))
    assert picture.icc_profile == SRGB and picture.alpha is not None
