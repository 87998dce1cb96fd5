"""Files of adapters: every name in use leads to its layer, and what does not fit is refused with both numbers."""

import json

import numpy as np
import pytest

import adapter_files
import stored
from partway.adapters.blocks import factor, labels
from partway.adapters.changes import find, text_width
from partway.adapters.names import original, table
from partway.adapters.reading import is_adapter, open_adapter
from partway.adapters.suggestions import suggested
from partway.errors import InputError, PackageError
from partway.loras import Lora, chosen, parsed

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
UNET = {
    "conv_in.weight": (32, 4, 3, 3), "conv_in.bias": (32,), "conv_out.weight": (4, 32, 3, 3),
    "time_embedding.linear_1.weight": (64, 32),
    "down_blocks.0.resnets.0.conv1.weight": (32, 32, 3, 3), "down_blocks.0.resnets.0.norm1.weight": (32,),
    "down_blocks.0.resnets.0.norm1.bias": (32,), "down_blocks.0.resnets.0.time_emb_proj.weight": (32, 64),
    f"{ATTENTION}.to_q.weight": (32, 32), f"{ATTENTION}.to_k.weight": (32, 768),
    f"{ATTENTION}.to_out.0.weight": (32, 32), "down_blocks.0.attentions.0.proj_in.weight": (32, 32, 1, 1),
    "down_blocks.0.downsamplers.0.conv.weight": (32, 32, 3, 3), "mid_block.attentions.0.proj_in.weight": (32, 32, 1, 1),
    "mid_block.resnets.1.conv2.weight": (32, 32, 3, 3), "up_blocks.0.resnets.1.conv_shortcut.weight": (32, 32, 1, 1),
    "up_blocks.0.upsamplers.0.conv.weight": (32, 32, 3, 3), "up_blocks.0.attentions.1.proj_out.weight": (32, 32, 1, 1),
}  # fmt: skip
SELF = "text_model.encoder.layers.0.self_attn"
TEXT = {f"{SELF}.q_proj.weight": (32, 32), f"{SELF}.out_proj.weight": (32, 32)}
MODEL = {"unet": UNET, "text_encoder": TEXT, "text_encoder_2": {**TEXT, "text_projection.weight": (32, 32)}}
FLAT = ATTENTION.replace(".", "_")


def write(path, modules, metadata=None, kind=adapter_files.lora, shapes=None):
    """A file that changes layers of these names and shapes."""
    rng, tensors = np.random.default_rng(0), {}
    for name, shape in modules.items():
        tensors |= {f"{name}.{end}": one for end, one in kind(rng, shape)[0].items()}
    return stored.write(path, tensors, metadata)


NAMES = {
    f"lora_unet_{FLAT}_to_q": ("unet", f"{ATTENTION}.to_q"),
    f"lora_unet_{FLAT}_to_out_0": ("unet", f"{ATTENTION}.to_out.0"),
    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_q": ("unet", f"{ATTENTION}.to_q"),
    "lora_unet_input_blocks_1_0_in_layers_2": ("unet", "down_blocks.0.resnets.0.conv1"),
    "lora_unet_input_blocks_1_0_emb_layers_1": ("unet", "down_blocks.0.resnets.0.time_emb_proj"),
    "lora_unet_input_blocks_2_0_op": ("unet", "down_blocks.0.downsamplers.0.conv"),
    "lora_unet_middle_block_1_proj_in": ("unet", "mid_block.attentions.0.proj_in"),
    "lora_unet_middle_block_2_out_layers_3": ("unet", "mid_block.resnets.1.conv2"),
    "lora_unet_output_blocks_1_0_skip_connection": ("unet", "up_blocks.0.resnets.1.conv_shortcut"),
    "lora_unet_output_blocks_1_2_conv": ("unet", "up_blocks.0.upsamplers.0.conv"),
    "lora_unet_output_blocks_1_1_proj_out": ("unet", "up_blocks.0.attentions.1.proj_out"),
    "lora_unet_time_embed_0": ("unet", "time_embedding.linear_1"),
    "lora_unet_out_2": ("unet", "conv_out"),
    f"lycoris_{FLAT}_to_q": ("unet", f"{ATTENTION}.to_q"),
    f"oft_unet_{FLAT}_to_q": ("unet", f"{ATTENTION}.to_q"),
    f"unet.{ATTENTION}.to_q": ("unet", f"{ATTENTION}.to_q"),
    f"base_model.model.{ATTENTION}.to_q": ("unet", f"{ATTENTION}.to_q"),
    f"{ATTENTION}.to_out.0": ("unet", f"{ATTENTION}.to_out.0"),
    "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_q": ("unet", f"{ATTENTION}.to_q"),
    f"unet.{ATTENTION}.processor.to_q": ("unet", f"{ATTENTION}.to_q"),
    f"{ATTENTION}.processor.to_out": ("unet", f"{ATTENTION}.to_out.0"),
    f"lora_te_{SELF.replace('.', '_')}_q_proj": ("text_encoder", f"{SELF}.q_proj"),
    f"lora_te1_{SELF.replace('.', '_')}_q_proj": ("text_encoder", f"{SELF}.q_proj"),
    f"lora_te2_{SELF.replace('.', '_')}_out_proj": ("text_encoder_2", f"{SELF}.out_proj"),
    "lora_te2_text_projection": ("text_encoder_2", "text_projection"),
    f"text_encoder.{SELF}.q_proj": ("text_encoder", f"{SELF}.q_proj"),
    f"text_encoder_2.{SELF}.out_proj": ("text_encoder_2", f"{SELF}.out_proj"),
    f"text_encoder.{SELF}.to_out": ("text_encoder", f"{SELF}.out_proj"),
    f"text_encoders.clip_g.transformer.{SELF}.q_proj": ("text_encoder_2", f"{SELF}.q_proj"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_to_its_layer(tmp_path, name):
    network, layer = NAMES[name]
    shape = MODEL[network][f"{layer}.weight"]
    path = write(tmp_path / "a.safetensors", {name: shape})
    found = find([Lora(path, 0.5)], MODEL, 768)
    assert {part: list(own) for part, own in found.items()} == {network: [f"{layer}.weight"]}


ENDS = (
    ("lora_down.weight", "lora_up.weight"), ("lora.down.weight", "lora.up.weight"), ("lora_A.weight", "lora_B.weight"),
    ("lora_A.default.weight", "lora_B.default.weight"), ("lora_A", "lora_B"),
    ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
)  # fmt: skip


def close(made, wanted):
    """Whether no number is further off than a millionth of the largest."""
    return np.abs(made - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("ends", ENDS, ids=lambda ends: ends[0])
def test_all_ends_of_a_pair(tmp_path, ends):
    tensors, delta = adapter_files.lora(np.random.default_rng(0), (32, 32), alpha=None)
    pair = dict(zip(ends, tensors.values(), strict=True))
    path = stored.write(tmp_path / "a.safetensors", {f"unet.{ATTENTION}.to_q.{end}": one for end, one in pair.items()})
    changed = find([Lora(path, 0.5)], MODEL, 768)["unet"][f"{ATTENTION}.to_q.weight"]
    base = np.ones((32, 32), np.float32)
    assert close(changed.applied(base), base + 0.5 * delta(base))


def test_the_original_names_need_no_attention_in_the_middle():
    names = ["mid_block.resnets.0.conv1", "mid_block.resnets.1.conv1", "down_blocks.0.resnets.0.conv1"]
    assert original(names[1], names) == "middle_block.1.in_layers.2"
    assert table({"unet": names})["lora_unet_middle_block_1_in_layers_2"].name == names[1]


def test_alphas_of_some_layers_alone(tmp_path):
    rng, key, other = np.random.default_rng(0), f"lora_unet_{FLAT}_to_q", f"lora_unet_{FLAT}_to_out_0"
    with_alpha, delta = adapter_files.lora(rng, (32, 32), alpha=1.0, rank=4)
    without, plain = adapter_files.lora(rng, (32, 32), alpha=None, rank=8)
    tensors = {f"{key}.{end}": one for end, one in with_alpha.items()}
    tensors |= {f"{other}.{end}": one for end, one in without.items()}
    found = find([Lora(stored.write(tmp_path / "a.safetensors", tensors))], MODEL, 768)["unet"]
    base = np.ones((32, 32), np.float32)
    assert close(found[f"{ATTENTION}.to_q.weight"].applied(base), base + delta(base))
    assert close(found[f"{ATTENTION}.to_out.0.weight"].applied(base), base + plain(base))


@pytest.mark.parametrize("root", [False, True])
def test_the_alpha_of_pefts_configuration(tmp_path, root):
    name = f"unet.{ATTENTION}.to_q"
    tensors, delta = adapter_files.lora(np.random.default_rng(0), (32, 32), alpha=None, rank=4)
    pair = {f"{name}.lora_A.weight": tensors["lora_down.weight"], f"{name}.lora_B.weight": tensors["lora_up.weight"]}
    told = {"unet.r": 4, "unet.lora_alpha": 99, "unet.alpha_pattern": {f"{ATTENTION}.to_q": 8}, "unet.use_rslora": root}
    path = stored.write(tmp_path / "a.safetensors", pair, {"lora_adapter_metadata": json.dumps(told)})
    changed = find([Lora(path)], MODEL, 768)["unet"][f"{ATTENTION}.to_q.weight"]
    base = np.ones((32, 32), np.float32)
    assert close(changed.applied(base), base + (4 if root else 2) * delta(base))


def test_differences_of_biases_and_norms(tmp_path):
    moved = {
        "lora_unet_conv_in.diff": np.ones((32, 4, 3, 3), np.float32),
        "lora_unet_conv_in.diff_b": np.ones(32, "f4"),
    }
    norm = "lora_unet_down_blocks_0_resnets_0_norm1"
    moved |= {f"{norm}.w_norm": np.ones(32, np.float32), f"{norm}.b_norm": np.full(32, 2, np.float32)}
    found = find([Lora(stored.write(tmp_path / "a.safetensors", moved), 0.5)], MODEL, 768)["unet"]
    assert len(found) == 4
    assert (found["conv_in.bias"].applied(np.zeros(32, np.float32)) == 0.5).all()
    assert (found["down_blocks.0.resnets.0.norm1.bias"].applied(np.zeros(32, np.float32)) == 1.0).all()


def test_two_adapters_in_either_order_are_the_same_numbers(tmp_path):
    key = f"lora_unet_{FLAT}_to_q"
    one = write(tmp_path / "a.safetensors", {key: (32, 32)})
    two = write(tmp_path / "b.safetensors", {key: (32, 32)}, kind=adapter_files.dora)
    base = np.random.default_rng(1).standard_normal((32, 32)).astype(np.float32)
    orders = [[Lora(one, 0.3), Lora(two, 0.7)], [Lora(two, 0.7), Lora(one, 0.3)]]
    made = [find(order, MODEL, 768)["unet"][f"{ATTENTION}.to_q.weight"].applied(base) for order in orders]
    assert (made[0] == made[1]).all()
    assert not np.allclose(made[0], base)


def test_weights_apart_and_by_block(tmp_path):
    shapes = {f"lora_unet_{FLAT}_to_q": (32, 32), f"lora_te_{SELF.replace('.', '_')}_q_proj": (32, 32)}
    path = write(tmp_path / "a.safetensors", {**shapes, "lora_unet_middle_block_1_proj_in": (32, 32, 1, 1)})

    def weights(lora):
        found = find([lora], MODEL, 768)
        return {name: delta.parts[0].weight for own in found.values() for name, delta in own.items()}

    q, te, middle = f"{ATTENTION}.to_q.weight", f"{SELF}.q_proj.weight", "mid_block.attentions.0.proj_in.weight"
    assert weights(Lora(path, 0.5)) == {q: 0.5, te: 0.5, middle: 0.5}
    assert weights(Lora(path, 0.5, 0.25)) == {q: 0.5, te: 0.25, middle: 0.5}
    assert weights(Lora(path, 0)) == {}
    blocks = [1.0 if label in ("BASE", "M00") else 0.5 if label == "IN01" else 0.0 for label in labels(17)]
    assert weights(Lora(path, 1, blocks=blocks)) == {q: 0.5, te: 1.0, middle: 1.0}


def test_lists_of_block_weights():
    assert [len(labels(length)) for length in (12, 17, 20, 26)] == [12, 17, 20, 26]
    assert factor([1.0] * 17, "input_blocks.3.0.op") == 0.0  # the short lists have those with attention alone
    assert factor([0.5] * 26, "input_blocks.3.0.op") == 0.5
    assert factor([0.5] * 26, "time_embed.0") == 1.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("film.safetensors", Lora("film.safetensors")),
        ("film.safetensors:0.8", Lora("film.safetensors", 0.8, 0.8)),
        ("a:b/film.safetensors:-1", Lora("a:b/film.safetensors", -1, -1)),
        ("film.safetensors:unet=0.8:te=0.5", Lora("film.safetensors", 0.8, 0.5)),
        ("film.safetensors:1:blocks=" + ",".join("1" * 12), Lora("film.safetensors", 1, 1, (1.0,) * 12)),
    ],
)
def test_what_the_command_line_says(text, wanted):
    assert parsed(text) == wanted


def test_what_python_says():
    assert chosen({"film.safetensors": 0.8}) == (Lora("film.safetensors", 0.8),)
    assert chosen({"film.safetensors": {"unet": 1, "text": 0}}) == (Lora("film.safetensors", 1, 0),)
    assert chosen([Lora("f").as_dict()]) == (Lora("f"),)
    for wrong in ("film.safetensors", {"f": "much"}, {"f": 101}, {"f": {"blocks": [1, 2]}}, [{"unet": 1}], 5):
        with pytest.raises(InputError):
            chosen(wrong)
    with pytest.raises(InputError, match="too many"):
        parsed("film.safetensors:1:2")


def test_another_family_is_named_with_both_widths(tmp_path):
    path = write(tmp_path / "film.safetensors", {f"lora_unet_{FLAT}_to_k": (32, 2048)})
    assert text_width(open_adapter(path)) == 2048
    with pytest.raises(PackageError, match=r"film.safetensors is for SDXL .*2048.* this model is .* 1.x .*768"):
        find([Lora(path)], MODEL, 768)


def test_shapes_that_do_not_fit_are_told_with_both(tmp_path):
    path = write(tmp_path / "a.safetensors", {f"lora_unet_{FLAT}_to_q": (48, 32)})
    with pytest.raises(PackageError, match=r"48x32 numbers of .*to_q.weight, which this model has 32x32 of"):
        find([Lora(path)], MODEL, 768)


def test_layers_that_the_model_lacks_are_counted(tmp_path):
    shapes = {f"lora_unet_{FLAT}_to_q": (32, 32), "lora_unet_up_blocks_9_nothing": (32, 32)}
    path = write(tmp_path / "a.safetensors", shapes)
    with pytest.raises(PackageError, match="2 layers, of which this model has 1; it lacks lora_unet_up_blocks_9"):
        find([Lora(path)], MODEL, 768)
    assert len(find([Lora(path)], MODEL, 768, cut=True)["unet"]) == 1


STRANGE = {
    "is a whole model": {"model.diffusion_model.input_blocks.0.0.weight": (4,), "first_stage_model.x": (4,)},
    "is an embedding": {"emb_params": (1, 768)},
    "is a ControlNet": {"control_model.input_hint_block.0.weight": (4,)},
    "is a Control-LoRA": {"lora_controlnet": (0,), "x.lora_up.weight": (4, 4)},
    "holds nothing": {"anything": (4,)},
    "2 tensors, and 1 that no kind": {"x.diff": (4,), "y": (4,)},
    "make up no kind": {"x.lora_up.weight": (4, 4)},
}


@pytest.mark.parametrize("said", STRANGE)
def test_what_is_no_adapter(tmp_path, said):
    path = stored.sparse(tmp_path / "a.safetensors", STRANGE[said])
    with pytest.raises(PackageError, match=said):
        open_adapter(path)


def test_a_file_cut_short(tmp_path):
    path = write(tmp_path / "a.safetensors", {f"lora_unet_{FLAT}_to_q": (32, 32)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PackageError, match="ends 100 bytes too early"):
        open_adapter(path)
    with pytest.raises(PackageError, match="cannot be read"):
        open_adapter(tmp_path / "missing.safetensors")


def test_bundled_embeddings_are_found(tmp_path):
    rng, key = np.random.default_rng(0), f"lora_unet_{FLAT}_to_q"
    tensors = {f"{key}.{end}": one for end, one in adapter_files.lora(rng, (32, 32))[0].items()}
    tensors["bundle_emb.mine.string_to_param.*"] = np.zeros((2, 768), np.float32)
    adapter = open_adapter(stored.write(tmp_path / "a.safetensors", tensors))
    assert adapter.embeddings == ("mine",)
    assert list(adapter.modules) == [key]


def test_a_file_tells_what_it_is(tmp_path):
    lora = write(tmp_path / "a.safetensors", {f"lora_unet_{FLAT}_to_q": (32, 32)})
    assert is_adapter(lora)
    assert not is_adapter(stored.sparse(tmp_path / "b.safetensors", {"conv_in.weight": (4,)}))
    assert open_adapter(lora).kinds == {"LoRA": 1}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("lcm-lora-sdv1-5", ("lcm", 4, 1.0)),
        ("sdxl_lightning_8step_lora", ("euler", 8, 1.0)),
        ("Hyper-SDXL-2steps-lora", ("ddim", 2, 1.0)),
        ("Hyper-SD15-12steps-CFG-lora", ("ddim", 12, 5.0)),
        ("sd_xl_turbo_lora", ("euler_a", 4, 1.0)),
        ("film", None),
        ("alchemy", None),
    ],
)
def test_settings_that_distilled_adapters_need(tmp_path, name, wanted):
    path = write(tmp_path / f"{name}.safetensors", {f"lora_unet_{FLAT}_to_q": (32, 32)})
    found = suggested(open_adapter(path))
    assert (found and (found["sampler"], found["steps"], found["guidance_scale"])) == (wanted or {})
