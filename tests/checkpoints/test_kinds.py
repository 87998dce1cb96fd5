"""What a file is taken for, from names and shapes alone, and what is refused."""

import numpy as np
import pytest

import checkpoint_shapes as small
import stored
from partway.building.networks import networks
from partway.checkpoints.single_file import open_file, open_vae
from partway.errors import PackageError


@pytest.fixture
def file(tmp_path):
    def write(shapes, name="model.safetensors", **options):
        return stored.sparse(tmp_path / name, shapes, **options)

    return write


KINDS = {
    "Stable Diffusion 1.x": (small.sd1(), "StableDiffusionPipeline"),
    "Stable Diffusion 1.x inpainting": (small.sd1(channels=9), "StableDiffusionInpaintPipeline"),
    "Stable Diffusion 1.x InstructPix2Pix": (small.sd1(channels=8), "StableDiffusionInstructPix2PixPipeline"),
    "Stable Diffusion 1.x, LCM": (small.sd1(guided=True), "LatentConsistencyModelPipeline"),
    "Stable Diffusion 2.x": (small.sd2(), "StableDiffusionPipeline"),
    "Stable Diffusion 2.x inpainting": (small.sd2(channels=9), "StableDiffusionInpaintPipeline"),
    "SDXL": (small.xl(), "StableDiffusionXLPipeline"),
    "SDXL inpainting": (small.xl(channels=9), "StableDiffusionXLInpaintPipeline"),
    "SDXL, LCM": (small.xl(guided=True), "StableDiffusionXLPipeline"),
    "SDXL refiner": (small.refiner(), "StableDiffusionXLImg2ImgPipeline"),
    "Segmind Vega (SDXL, distilled)": (small.xl(middle=False), "StableDiffusionXLPipeline"),
}


@pytest.mark.parametrize("title", KINDS)
def test_a_kind_is_seen_and_all_of_it_is_built(file, title):
    shapes, pipeline = KINDS[title]
    checkpoint = open_file(file(shapes))
    assert checkpoint.title == title
    assert checkpoint.index["_class_name"] == pipeline
    built = networks(checkpoint)
    assert {"unet", "unet_shallow", "unet_segment_7", "vae_encoder", "vae_decoder"} <= built.keys()


def test_what_no_picture_needs_is_idle(file):
    more = {"model_ema.decay": (), "betas": (1000,), "first_stage_model.loss.logvar": ()}
    more |= {"cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77), "control_model.x": (1,)}
    checkpoint = open_file(file(small.sd1() | more))
    assert set(checkpoint.idle) == more.keys()


def test_older_merges_lack_a_level_of_names(file):
    shapes = {name.replace("text_model.", ""): shape for name, shape in small.sd1().items()}
    assert open_file(file(shapes)).title == "Stable Diffusion 1.x"


def test_diffusers_attention_of_old_in_a_vae(file):
    old = {".mid.attn_1.q.": ".mid_block.attentions.0.query.", ".mid.attn_1.k.": ".mid_block.attentions.0.key."}
    shapes = small.vae()
    for new, name in old.items():
        shapes = {key.replace(new, name): shape for key, shape in shapes.items()}
    names = set(open_vae(file(shapes)))
    assert {f"decoder.mid_block.attentions.0.to_{one}.weight" for one in "qkv"} <= names


@pytest.mark.parametrize(
    ("shapes", "metadata", "prediction", "why"),
    [
        (small.sd1(), {}, "epsilon", "as nearly all of its kind"),
        (small.sd2(), {}, "epsilon", "a guess"),
        (small.sd2(), {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v_prediction", "v2-768-v"),
        (small.sd2(), {"modelspec.prediction_type": "epsilon"}, "epsilon", "metadata"),
        (small.xl() | {"v_pred": ()}, {}, "v_prediction", "tensor v_pred"),
        (small.sd1(), {"ss_base_model_version": "sd_v1_v"}, "v_prediction", "ss_base_model_version"),
    ],
)
def test_what_it_predicts_and_how_that_is_known(file, shapes, metadata, prediction, why):
    checkpoint = open_file(file(shapes, metadata=metadata))
    assert checkpoint.scheduler["prediction_type"] == prediction
    assert prediction in checkpoint.reasons[-1] and why in checkpoint.reasons[-1]


def test_a_prediction_can_be_given(file):
    checkpoint = open_file(file(small.sd2()), prediction="v_prediction")
    assert checkpoint.scheduler["prediction_type"] == "v_prediction"
    assert checkpoint.parts["unet"].config["sample_size"] == 96  # those that predict v were trained on 768 x 768


def test_noise_without_any_signal_left(file):
    scheduler = open_file(file(small.xl() | {"v_pred": (), "ztsnr": ()})).scheduler
    assert scheduler["rescale_betas_zero_snr"] and scheduler["timestep_spacing"] == "trailing"


@pytest.mark.parametrize(
    ("name", "metadata"),
    [("sd_xl_turbo.safetensors", {}), ("m.safetensors", {"modelspec.architecture": "stable-diffusion-xl-turbo-v1"})],
)
def test_turbo_is_known_by_its_name_or_metadata(file, name, metadata):
    checkpoint = open_file(file(small.xl(), name, metadata=metadata))
    assert checkpoint.title == "SDXL Turbo"
    assert checkpoint.scheduler["timestep_spacing"] == "trailing"


def test_the_size_that_its_metadata_say(file):
    checkpoint = open_file(file(small.xl(), metadata={"modelspec.resolution": "512x512"}))
    assert checkpoint.parts["unet"].config["sample_size"] == 64


LORA = {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 64)}
STRANGERS = {
    "a LoRA": LORA,
    "a LoRA ": {"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (4, 64)},
    "a LoRA  ": {"lora_unet_x.hada_w1_a": (4, 4)},
    "an embedding": {"emb_params": (4, 768)},
    "an embedding ": {"clip_l": (4, 768), "clip_g": (4, 1280)},
    "a ControlNet": {"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
    "a ControlNet ": {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "conv_in.weight": (320, 4, 3, 3)},
    "a FLUX model": {"double_blocks.0.img_attn.qkv.weight": (3, 3), "img_in.weight": (3, 3)},
    "a FLUX model ": {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (3, 3)},
    "a Stable Diffusion 3 model": {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (3, 3)},
    "a Stable Video": small.sd1() | {"model.diffusion_model.input_blocks.8.0.time_mixer.mix_factor": (1,)},
    "an AltDiffusion": small.sd1() | {"cond_stage_model.roberta.embeddings.weight": (3, 3)},
    "an IP-Adapter": {"ip_adapter.1.to_k_ip.weight": (3, 3)},
    "EDM's": small.xl() | {"edm_mean": (4,), "edm_std": (4,)},
    "holds a VAE, and no UNet": small.under("first_stage_model", small.vae()),
    "holds a VAE, and no UNet ": small.vae(),
    "holds a text encoder, and no UNet": small.clip(),
    "holds no network": {"weight": (3, 3)},
    "without its text encoder": small.under("model.diffusion_model", small.unet()),
    "without its text encoder and second text encoder": small.unet(linear=True, told=2816, context=2048),
    "without a VAE; give one with: --vae FILE": small.under("model.diffusion_model", small.unet()) | small.SD1_TEXT,
    "depth-to-image": small.sd2(channels=5),
    "an upscaler": small.sd2(channels=7),
    "6 input channels": small.sd1(channels=6),
    "unCLIP": small.sd2(told=1536),
    "lacks conv_out.weight": {n: s for n, s in small.sd1().items() if not n.startswith("model.diffusion_model.out.2")},
}


@pytest.mark.parametrize("says", STRANGERS)
def test_what_does_not_run_is_named(file, says):
    with pytest.raises(PackageError, match=says.strip()) as error:
        open_file(file(STRANGERS[says]))
    assert "\n" not in str(error.value) and "model.safetensors" in str(error.value)


def test_a_vae_of_its_own_file(file):
    path = file(small.under("model.diffusion_model", small.unet()) | small.SD1_TEXT)
    vae = file(small.vae(), "vae.safetensors")
    parts = open_file(path, vae=vae).parts
    assert {weight.source.path.name for weight in parts["vae"].weights.values()} == {"vae.safetensors"}
    with pytest.raises(PackageError, match="is a LoRA"):
        open_vae(file(LORA, "lora.safetensors"))


def test_a_missing_tensor_is_named(file):
    shapes = small.sd1()
    del shapes["model.diffusion_model.output_blocks.2.0.in_layers.2.weight"]
    with pytest.raises(PackageError, match=r"lacks the weights up_blocks\.1\.resnets\.0\.conv1\.weight"):
        networks(open_file(file(shapes)))


def test_a_tensor_left_over_is_named(file):
    shapes = small.sd1() | {"model.diffusion_model.input_blocks.1.0.extra.weight": (3,)}
    with pytest.raises(PackageError, match=r"down_blocks\.0\.resnets\.0\.extra\.weight; it is Stable Diffusion 1"):
        networks(open_file(file(shapes)))


def test_numbers_that_no_network_runs_with(file, tmp_path):
    shapes = {name: np.zeros(shape, np.uint8) for name, shape in small.sd1().items() if "token_emb" not in name}
    shapes |= {name: np.zeros(shape, np.float16) for name, shape in small.sd1().items() if "token_emb" in name}
    path = stored.write(tmp_path / "model.safetensors", shapes)
    with pytest.raises(PackageError, match="type U8"):
        networks(open_file(path))
