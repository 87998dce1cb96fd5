"""What is written into result files can be read by other tools and followed by a replay."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from partway.errors import ImageError, InputError
from partway.pictures import metadata
from partway.support.files import check_writable, unused, write_atomically

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def a_record(**changes: Any) -> dict[str, Any]:
    settings = {
        "strength": 0.45,
        "steps": 20,
        "guidance_scale": 7.5,
        "negative_prompt": "blurry, dark: very",
        "seed": 2**60 + 1,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "rng": "torch-cpu",
    }
    base = {
        "partway": "0.1.0",
        "task": "img2img",
        "prompt": "cozy interior,\nwarm light",
        "settings": settings,
        "width": 512,
        "height": 384,
        "model": {"name": "models: mine, new"},
    }
    return base | changes


def a_picture(mode: str = "RGB") -> Image.Image:
    rgb = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(rgb).convert(mode)


def written(image: Image.Image, suffix: str, record: dict[str, Any]) -> io.BytesIO:
    file = io.BytesIO()
    metadata.write(image, file, suffix, record)
    file.seek(0)
    return file


def a1111_fields(text: str) -> dict[str, str]:
    """Read the last line as stable-diffusion-webui does: ``key: value`` pairs, values quoted where needed."""
    pairs = re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', text.rpartition("\n")[2])
    return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


def test_parameters_text_is_what_a1111_reads() -> None:
    text = metadata.parameters_text(a_record())
    assert text.startswith("cozy interior,\nwarm light\nNegative prompt: blurry, dark: very\nSteps: 20, ")
    assert a1111_fields(text) == {
        "Steps": "20",
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": "7.5",
        "Seed": str(2**60 + 1),
        "Size": "512x384",
        "Model": "models: mine, new",
        "Denoising strength": "0.45",
        "RNG": "CPU",
        "Version": "partway 0.1.0",
    }


def test_parameters_text_without_negative_prompt_and_source() -> None:
    record = a_record(task="txt2img")
    record["settings"] |= {"negative_prompt": "", "schedule": "leading", "sampler": "new_one"}
    text = metadata.parameters_text(record)
    assert "Negative prompt" not in text
    fields = a1111_fields(text)
    assert "Denoising strength" not in fields
    assert (fields["Sampler"], fields["Schedule type"]) == ("new_one", "leading")


def test_the_label_of_every_sampler_leads_back_to_it() -> None:
    import partway
    from partway.diffusion import names

    for name in partway.SAMPLERS:
        record = a_record()
        record["settings"]["sampler"] = name
        label = a1111_fields(metadata.parameters_text(record))["Sampler"]
        assert names.sampler(label) == (name, None)


@pytest.mark.parametrize("suffix", sorted(metadata.FORMATS))
@pytest.mark.parametrize("prompt", ["plain", "猫 на диване 🛋 naïve", 'quotes " and \\ and\nlines'])
def test_records_come_back_from_every_format(tmp_path: Path, suffix: str, prompt: str) -> None:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(written(a_picture(), suffix, a_record(prompt=prompt)).getvalue())
    assert metadata.read_parameters(path) == a_record(prompt=prompt)


def test_png_keeps_the_text_where_a1111_looks() -> None:
    with Image.open(written(a_picture(), ".png", a_record(prompt="猫"))) as image:
        assert image.info["parameters"] == metadata.parameters_text(a_record(prompt="猫"))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_exif_keeps_the_text_where_a1111_looks(suffix: str) -> None:
    with Image.open(written(a_picture(), suffix, a_record(prompt="猫"))) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert comment[:8] == b"UNICODE\0"
    assert comment[8:].decode("utf-16-be") == metadata.parameters_text(a_record(prompt="猫"))


def test_a_record_too_long_for_jpeg_costs_the_record_not_the_picture() -> None:
    with Image.open(written(a_picture(), ".jpg", a_record(prompt="word " * 20_000))) as image:
        image.load()
        assert not image.getexif()


@pytest.mark.parametrize("suffix", sorted(metadata.FORMATS))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_pictures_of_every_mode_can_be_written(suffix: str, mode: str) -> None:
    image = a_picture("LA").convert("PA") if mode == "PA" else a_picture(mode)
    plain = image if image.mode == "RGB" else image.convert("RGBA" if image.has_transparency_data else "RGB")
    with Image.open(written(image, suffix, a_record())) as back:
        back.load()
        shown = np.asarray(back.convert("RGB"), dtype=float)
    tolerance = 0 if suffix == ".png" else 60
    assert np.abs(shown - np.asarray(plain.convert("RGB"), dtype=float)).mean() <= tolerance


def test_16_bit_pictures_keep_their_depth_in_png_and_are_scaled_elsewhere() -> None:
    ramp = np.linspace(0, 65535, 64 * 16).astype(np.uint16).reshape(16, 64)
    with Image.open(written(Image.fromarray(ramp), ".png", a_record())) as back:
        np.testing.assert_array_equal(np.asarray(back), ramp)
    with Image.open(written(Image.fromarray(ramp), ".jpg", a_record())) as back:
        assert np.abs(np.asarray(back.convert("L"), dtype=float) - ramp / 257).mean() < 2


@pytest.mark.parametrize("suffix", sorted(metadata.FORMATS))
def test_the_profile_is_written_into_every_format(suffix: str) -> None:
    image = a_picture()
    image.info["icc_profile"] = SRGB
    with Image.open(written(image, suffix, a_record())) as back:
        assert back.info["icc_profile"] == SRGB


def test_alpha_is_kept_where_the_format_has_it_and_laid_on_white_in_jpeg() -> None:
    clear = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    for suffix in (".png", ".webp"):
        with Image.open(written(clear, suffix, a_record())) as back:
            assert back.convert("RGBA").getextrema()[3] == (0, 0)
    with Image.open(written(clear, ".jpg", a_record())) as back:
        assert back.getpixel((8, 8)) == (255, 255, 255)


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(InputError, match=r"\.tiff"):
        metadata.write(a_picture(), io.BytesIO(), ".tiff", a_record())
    with pytest.raises(InputError, match=r"\.png"):
        metadata.check_suffix(Path("name-without-ending"))


def damaged(text: str) -> PngInfo:
    info = PngInfo()
    info.add_text("partway", text)
    return info


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (None, "holds no partway settings"),
        (damaged("{"), "damaged"),
        (damaged("[]"), "damaged"),
        (damaged('{"settings": 3}'), "damaged"),
        (damaged('{"task": "sweep", "strengths": [0, 1]}'), "a sheet"),
    ],
)
def test_files_without_a_usable_record_are_one_line(tmp_path: Path, info: PngInfo | None, words: str) -> None:
    a_picture().save(tmp_path / "other.png", pnginfo=info)
    with pytest.raises(ImageError, match=words):
        metadata.read_parameters(tmp_path / "other.png")


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    whole = written(a_picture(), ".png", a_record()).getvalue()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name, words in (("text.png", "not a picture"), ("missing.png", "no such"), ("cut.png", "cannot read")):
        with pytest.raises(ImageError, match=words):
            metadata.read_parameters(tmp_path / name)


def test_hashes_tell_files_from_pixels(tmp_path: Path) -> None:
    a_picture().save(tmp_path / "a.png")
    a_picture().save(tmp_path / "b.bmp")
    assert metadata.file_hash(tmp_path / "a.png") != metadata.file_hash(tmp_path / "b.bmp")
    same = [metadata.pixel_hash(Image.open(tmp_path / name)) for name in ("a.png", "b.bmp")]
    assert same[0] == same[1]
    assert metadata.pixel_hash(a_picture().rotate(180)) != same[0]
    assert metadata.pixel_hash(Image.new("L", (4, 2))) != metadata.pixel_hash(Image.new("L", (2, 4)))


def test_a_write_that_fails_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def interrupted(file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    def full_disk(file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, interrupted)
    with pytest.raises(ImageError, match="No space left"):
        write_atomically(target, full_disk)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert target.read_bytes() == b"old"
    write_atomically(target, lambda file: (file.write(b"new"), None)[1])
    assert target.read_bytes() == b"new"


def test_places_that_cannot_be_written_are_found_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_writable(tmp_path / "new.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing" / "x.png", "no folder"),
        (tmp_path / "file" / "x.png", "no folder"),
        (tmp_path / ("x" * 300 + ".png"), "cannot write"),
    ):
        with pytest.raises(ImageError, match=words):
            check_writable(path)


def test_unused_names_count_up(tmp_path: Path) -> None:
    assert unused(tmp_path, "room", ".png").name == "room-0001.png"
    (tmp_path / "room-0001.png").touch()
    assert unused(tmp_path, "room", ".png").name == "room-0002.png"
