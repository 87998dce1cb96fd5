"""The models that are measured: Stable Diffusion 1.5's size to the parameter, and folders that diffusers loads."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import dial, model

torch = pytest.importorskip("torch")


def test_sd15_has_the_published_number_of_parameters() -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    configs = model.configs("sd15")
    with torch.device("meta"):
        networks = {
            "unet": UNet2DConditionModel(**configs["unet"]),
            "vae": AutoencoderKL(**configs["vae"]),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**configs["text_encoder"])),
        }
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    assert counts == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}


def test_the_folder_is_a_pipeline_that_diffusers_runs(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    model.build(tmp_path / "tiny", "tiny")
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "tiny", torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    picture = pipe("a room", num_inference_steps=2, output_type="np").images[0]
    assert picture.shape == (64, 64, 3)
    assert float(np.std(picture)) > 0.02  # neither grey nor all clipped
    assert float(np.mean((picture == 0) | (picture == 1))) < 0.5


def test_the_dial_picture_shows_staircases_beside_a_continuous_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shares = {name: dial.share(name, 4, dial.STRENGTHS) for name, *_ in dial.LINES}
    assert len(np.unique(shares["diffusers"])) == 5
    assert len(np.unique(shares["a1111"])) == 4
    assert len(np.unique(shares["continuous"])) == len(dial.STRENGTHS)
    assert all(np.all(np.diff(values) >= 0) for values in shares.values())
    dial.draw(tmp_path / "dial.png")
    assert (tmp_path / "dial.png").stat().st_size > 20_000
