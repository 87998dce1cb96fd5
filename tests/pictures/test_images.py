"""Pictures keep orientation, colour, depth, alpha, profile and size; bad ones are one line."""

import io
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from partway.errors import ImageError, InputError
from partway.pictures import images

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gradient(width: int = 40, height: int = 24) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 3 % 256], axis=2)
    return Image.fromarray(rgb.astype(np.uint8))


def colours(picture: images.Picture) -> np.ndarray:
    """(H, W, 3) in 0..255."""
    return (picture.pixels[0].transpose(1, 2, 0) + 1) * 127.5


def test_rgb_values_are_what_diffusers_feeds_its_encoder() -> None:
    source = gradient()
    picture = images.read(source)
    expected = 2 * (np.asarray(source).astype(np.float32) / 255) - 1
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.shape == (1, 3, 24, 40)
    np.testing.assert_array_equal(picture.pixels[0].transpose(1, 2, 0), expected)
    assert picture.alpha is None
    assert picture.icc_profile is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    gradient().save(tmp_path / "turned.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "turned.png"))
    picture = images.read(tmp_path / "turned.png")
    np.testing.assert_array_equal(np.asarray(picture.original), np.asarray(expected))
    np.testing.assert_allclose(colours(picture), np.asarray(expected), atol=1e-3)
    assert picture.pixels.shape[2:] == ((24, 40) if orientation < 5 else (40, 24))
    again = images.read(picture.original)
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_damaged_exif_does_not_stop_a_readable_picture(tmp_path: Path) -> None:
    gradient().save(tmp_path / "odd.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x07\xff\xff\xff\xff")
    assert images.read(tmp_path / "odd.jpg").pixels.shape == (1, 3, 24, 40)


def test_damaged_exif_of_an_open_picture_is_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    tag = b"\x01\x12\0\x03\0\0\0\x08\0\0\xff\0"  # eight values, beyond the end
    gradient().save(tmp_path / "odd.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + tag)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(tmp_path / "odd.jpg").copy()
    assert images.read(image).pixels.shape == (1, 3, 24, 40)
    assert not recwarn.list


# Pillow converts to these modes from one other mode only.
BY_WAY_OF = {"RGBa": "RGBA", "La": "LA", "PA": "LA"}


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB"]
)
def test_every_8_bit_mode_becomes_the_colours_that_pillow_shows(mode: str) -> None:
    source = gradient().convert(BY_WAY_OF.get(mode, "RGB")).convert(mode)
    plain = source.convert("LA") if mode == "La" else source
    expected = (plain.convert("RGBA") if plain.has_transparency_data else plain).convert("RGB")
    picture = images.read(source)
    np.testing.assert_allclose(colours(picture), np.asarray(expected), atol=1e-3)
    assert (picture.alpha is not None) == source.has_transparency_data
    assert picture.original.mode == mode


@pytest.mark.parametrize("name", ["wide.png", "wide.tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, name: str) -> None:
    ramp = np.linspace(0, 65535, 64 * 16).astype(np.uint16).reshape(16, 64)
    Image.fromarray(ramp).save(tmp_path / name)
    picture = images.read(tmp_path / name)
    np.testing.assert_allclose(colours(picture)[..., 0], ramp / 257, atol=1e-2)
    np.testing.assert_array_equal(picture.pixels[:, 0], picture.pixels[:, 2])
    np.testing.assert_array_equal(np.asarray(picture.original), ramp)


@pytest.mark.parametrize("mode", ["I;16B", "I"])
def test_other_wide_integers_are_scaled_too(mode: str) -> None:
    ramp = np.linspace(0, 65535, 64).reshape(4, 16)
    raw = ramp.astype(">u2" if mode == "I;16B" else "<i4")
    source = Image.frombytes(mode, (16, 4), raw.tobytes())
    np.testing.assert_allclose(colours(images.read(source))[..., 1], raw / 257, atol=1e-2)


def test_values_beyond_16_bits_are_refused() -> None:
    with pytest.raises(ImageError, match="8 or 16 bits"):
        images.read(Image.fromarray(np.full((4, 4), 70_000, np.int32)))
    with pytest.raises(ImageError, match="8 or 16 bits"):
        images.read(Image.fromarray(np.full((4, 4), np.nan, np.float32)))


def test_16_bit_transparent_grey_becomes_alpha(tmp_path: Path) -> None:
    values = np.array([[0, 500], [65535, 500]], np.uint16)
    Image.fromarray(values).save(tmp_path / "key.png", transparency=500)
    alpha = images.read(tmp_path / "key.png").alpha
    assert alpha is not None
    np.testing.assert_array_equal(np.asarray(alpha), [[255, 0], [255, 0]])


def test_palette_transparency_becomes_alpha(tmp_path: Path) -> None:
    source = gradient().quantize(16)
    source.save(tmp_path / "palette.png", transparency=3)
    alpha = images.read(tmp_path / "palette.png").alpha
    assert alpha is not None
    np.testing.assert_array_equal(np.asarray(alpha) == 0, np.asarray(source) == 3)


def test_rgba_is_colours_and_alpha_never_four_channels() -> None:
    source = gradient().convert("RGBA")
    source.putalpha(gradient().convert("L"))
    for form in (source, np.asarray(source), np.asarray(source) / 255):
        picture = images.read(form)
        assert picture.pixels.shape == (1, 3, 24, 40)
        np.testing.assert_allclose(colours(picture), np.asarray(source)[..., :3], atol=1e-3)
        assert picture.alpha is not None
        np.testing.assert_array_equal(np.asarray(picture.alpha), np.asarray(source)[..., 3])


def test_alpha_and_profile_come_back_on_the_result(tmp_path: Path) -> None:
    source = gradient().convert("RGBA")
    source.putalpha(gradient().convert("L"))
    source.save(tmp_path / "in.png", icc_profile=SRGB)
    picture = images.read(tmp_path / "in.png")
    made = images.to_pil(-picture.pixels)[0]
    done = images.finish(made, picture)
    assert done.mode == "RGBA"
    assert done.info["icc_profile"] == SRGB
    np.testing.assert_array_equal(np.asarray(done)[..., 3], np.asarray(source)[..., 3])
    np.testing.assert_array_equal(np.asarray(done)[..., :3], np.asarray(made))
    assert made.mode == "RGB"


def test_a_profile_of_another_colour_space_is_dropped(tmp_path: Path) -> None:
    cmyk = SRGB[:16] + b"CMYK" + SRGB[20:]
    gradient().convert("CMYK").save(tmp_path / "print.jpg", icc_profile=cmyk, quality=95)
    picture = images.read(tmp_path / "print.jpg")
    assert picture.original.mode == "CMYK"
    assert picture.icc_profile is None
    assert np.abs(colours(picture) - np.asarray(gradient(), dtype=float)).mean() < 8


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    lossless = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **lossless)
    np.testing.assert_allclose(colours(images.read(tmp_path / name)), [[[255, 0, 0]] * 8] * 8, atol=2)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "bmp", "tif"])
@pytest.mark.parametrize("keep", [0.2, 0.6])
def test_a_file_cut_short_is_one_line(tmp_path: Path, extension: str, keep: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    noise.save(tmp_path / f"whole.{extension}")
    whole = (tmp_path / f"whole.{extension}").read_bytes()
    (tmp_path / f"cut.{extension}").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ImageError) as caught:
        images.read(tmp_path / f"cut.{extension}")
    assert f"cut.{extension}" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["png", "jpeg", "webp", "gif", "tiff", "bmp"]), st.data())
def test_flipped_bytes_never_raise_anything_but_image_error(extension: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    gradient().save(buffer, extension)
    raw = bytearray(buffer.getvalue())
    flips = st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    for position, value in data.draw(flips):
        raw[position] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flipped"
        path.write_bytes(raw)
        try:
            picture = images.read(path)
        except ImageError as problem:
            assert "flipped" in str(problem) or "a picture of" in str(problem)
        else:
            assert picture.pixels.shape[:2] == (1, 3)
            assert np.isfinite(picture.pixels).all()


def test_what_is_no_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    for path, words in [
        (tmp_path / "text.png", "not a picture"),
        (tmp_path / "empty.png", "not a picture"),
        (tmp_path / "missing.png", "no such picture"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(ImageError, match=words):
            images.read(path)


def declared(width: int, height: int) -> bytes:
    """A tiny PNG file whose header declares any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "words"),
    [
        (10_000, 10_000, "million pixels"),  # Pillow only warns
        (16_000, 16_000, "million pixels"),  # Pillow refuses
        (50_000, 100, "from 1 to 16384"),
        (0, 100, "bomb.png"),
    ],
)
def test_bombs_and_absurd_sizes_are_refused_before_decoding(
    tmp_path: Path, width: int, height: int, words: str
) -> None:
    (tmp_path / "bomb.png").write_bytes(declared(width, height))
    with pytest.raises(ImageError, match=words):
        images.read(tmp_path / "bomb.png")


def test_text_bombs_are_left_out_unread(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a" * 5_000_000, zip=True)
    info.add_text("Comment", "small", zip=True)
    gradient().save(tmp_path / "text.png", pnginfo=info)
    picture = images.read(tmp_path / "text.png")
    np.testing.assert_array_equal(np.asarray(picture.original), np.asarray(gradient()))
    assert "parameters" not in picture.original.info and picture.original.info["Comment"] == "small"


def test_arrays_of_bytes_floats_and_grey() -> None:
    rgb = np.asarray(gradient())
    from_bytes = images.read(rgb)
    np.testing.assert_array_equal(from_bytes.pixels, images.read(gradient()).pixels)
    for dtype in (np.float32, np.float64, np.float16):
        from_floats = images.read((rgb / 255).astype(dtype))
        np.testing.assert_allclose(from_floats.pixels, from_bytes.pixels, atol=2e-3)
    grey = rgb[..., 0]
    np.testing.assert_array_equal(images.read(grey).pixels[0, 2], images.read(rgb).pixels[0, 0])
    np.testing.assert_array_equal(np.asarray(images.read(rgb / 255).original), rgb)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 4, 8, 8), np.float32),
        np.zeros((4, 8, 8), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((8, 8, 3), np.int64),
        np.full((8, 8, 3), 255.0),
        np.full((8, 8, 3), -0.1),
        np.full((8, 8, 3), np.nan),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="array"):
        images.read(array)


def test_empty_arrays_and_other_objects_are_refused() -> None:
    with pytest.raises(ImageError, match="from 1 to"):
        images.read(np.zeros((0, 8, 3), np.uint8))
    with pytest.raises(InputError, match="not bytes"):
        images.read(b"\x89PNG")  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([8, 16, 64]))
def test_any_size_comes_back_after_padding(width: int, height: int, multiple: int) -> None:
    source = Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))
    picture = images.read(source)
    padded = images.pad(picture.pixels, multiple)
    assert padded.shape[2] % multiple == 0
    assert padded.shape[3] % multiple == 0
    assert padded.shape[2] - height < multiple
    assert padded.shape[3] - width < multiple
    back = images.to_pil(padded, (width, height))
    np.testing.assert_array_equal(np.asarray(back[0]), np.asarray(source))


def test_padding_reflects_and_falls_back_to_the_edge() -> None:
    row = np.arange(6, dtype=np.float32).reshape(1, 1, 1, 6)
    padded = images.pad(row, 8)
    np.testing.assert_array_equal(padded[0, 0, 0], [0, 1, 2, 3, 4, 5, 4, 3])
    np.testing.assert_array_equal(padded[0, 0], np.repeat(padded[0, 0, :1], 8, axis=0))


def test_output_clips_and_rounds_halves_to_even() -> None:
    whole = np.arange(255)
    halfway = ((2 * whole + 1) / 255 - 1).astype(np.float32)
    exact = (halfway / 2 + np.float32(0.5)) * np.float32(255) == whole + 0.5
    assert exact.sum() > 20
    assert (whole[exact] % 2 == 0).any()
    row = np.concatenate([halfway[exact], [-3, 3]]).astype(np.float32)
    made = images.to_pil(np.broadcast_to(row, (2, 3, 1, row.size)))
    assert [picture.mode for picture in made] == ["RGB", "RGB"]
    even = whole[exact] + whole[exact] % 2
    np.testing.assert_array_equal(np.asarray(made[1])[0, :, 0], [*even, 0, 255])


def test_cropping_takes_the_top_left_corner() -> None:
    pixels = images.read(gradient()).pixels
    (made,) = images.to_pil(pixels, (5, 7))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(gradient())[:7, :5])
