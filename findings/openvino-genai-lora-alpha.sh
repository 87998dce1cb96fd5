#!/usr/bin/env bash
# openvino.genai does not look at the alpha that a LoRA file brings for each layer.
#
# A LoRA adds (alpha / rank) * up @ down to a weight. In kohya's format, which most files for Stable Diffusion have,
# alpha is a tensor beside each pair. openvino.genai takes the pair alone, as if alpha were the rank: files of rank 2
# whose alphas are 1, 2 and 8, or that have none, draw the same picture, though 1 asks for half the change and 8 for
# four times as much. Halving the up matrix does show. What AdapterConfig calls alpha is the user's factor on top.
#
# Why it matters: alpha is often half the rank, or 1. Such a file acts rank / alpha times too strongly, with no message,
# and the user looks for a factor that helps, another for each file. As a reference for a LoRA's scale it will not do.
#
# The model here is of a few kilobytes: a tokenizer, a text encoder and a VAE that do little, and a UNet of one product.
#
# Source: the LoRA paper, arXiv 2106.09685, section 4.1; openvino.genai pull requests 2210 and 2525, the second of which
# takes the division by the rank back and leaves the user's alpha as the whole factor.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino-genai==2026.4.1.0 \
    openvino-tokenizers==2026.4.1.0 openvino==2026.4.1 safetensors==0.8.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'EOF'
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import openvino
import openvino_genai
from openvino import Type
from openvino import opset15 as op
from safetensors.numpy import save_file

LAYER = "mid_block.attentions.0.proj_in"
CLASSES = {"text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer", "unet": "UNet2DConditionModel",
           "vae": "AutoencoderKL", "scheduler": "EulerDiscreteScheduler"}


def whole(*values):
    return op.constant(np.array(values, np.int64))


def write(folder, outputs, config, file="openvino_model", /, **inputs):
    """Write a network whose inputs are given by their type and shape, and its config.json."""
    parameters = {name: op.parameter(shape, kind) for name, (kind, shape) in inputs.items()}
    results = outputs(*parameters.values())
    for name, node in (parameters | results).items():
        node.output(0).set_names({name})
    model = openvino.Model([op.result(node) for node in results.values()], list(parameters.values()), folder)
    Path("model", folder).mkdir(parents=True)
    openvino.save_model(model, f"model/{folder}/{file}.xml", compress_to_fp16=False)
    Path("model", folder, "config.json").write_text(json.dumps(config))


def unet(sample, timestep, states):
    """One product of the channels, whose name is that of a Linear layer in optimum's exports."""
    rows = op.transpose(op.reshape(sample, whole(0, 4, -1), True), whole(0, 2, 1))
    product = op.matmul(rows, op.constant(np.eye(4, dtype=np.float32) / 10), False, True)
    product.set_friendly_name(f"__module.{LAYER}/aten::linear/MatMul")
    return {"out_sample": op.reshape(op.transpose(product, whole(0, 2, 1)), op.shape_of(sample), False)}


ids = np.ones((1, 77), np.int64)
latents = (Type.f32, [-1, 4, -1, -1])
states = (Type.f32, [-1, 77, 8])
write("tokenizer", lambda text: {"input_ids": op.constant(ids), "attention_mask": op.constant(ids.copy())}, {},
      "openvino_tokenizer", text=(Type.string, [-1]))
write("text_encoder", lambda ids: {"last_hidden_state": op.constant(np.zeros((1, 77, 8), np.float32))},
      {"max_position_embeddings": 77, "hidden_size": 8}, input_ids=(Type.i64, [-1, 77]))
write("unet", unet, {"in_channels": 4, "sample_size": 8}, sample=latents, timestep=(Type.i64, [1]),
      encoder_hidden_states=states)
write("vae_decoder", lambda latent: {"sample": op.slice(latent, whole(0), whole(3), whole(1), whole(1))},
      {"latent_channels": 4, "scaling_factor": 1.0, "block_out_channels": [8]}, latent_sample=latents)
index = {folder: ["diffusers", name] for folder, name in CLASSES.items()}
Path("model/model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"} | index))
Path("model/scheduler").mkdir()
Path("model/scheduler/scheduler_config.json").write_text(json.dumps({"_class_name": CLASSES["scheduler"]}))


def draw(adapters=None):
    more = {} if adapters is None else {"adapters": adapters}
    pipeline = openvino_genai.Text2ImagePipeline("model", "CPU", **more)
    image = pipeline.generate("a room", width=8, height=8, num_inference_steps=4, guidance_scale=1.0, rng_seed=1)
    return image.data.astype(int)


def change(alpha, factor=1.0):
    """The mean change of the picture by a LoRA of rank 2 whose up matrix is multiplied by a factor."""
    numbers = np.random.default_rng(0)
    name = f"lora_unet_{LAYER.replace('.', '_')}"
    down, up = (numbers.standard_normal(shape).astype(np.float32) / 3 for shape in ((2, 4), (4, 2)))
    tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up * np.float32(factor)}
    if alpha:
        tensors[f"{name}.alpha"] = np.array(alpha, np.float32)
    file = f"{alpha}-{factor}.safetensors"
    save_file(tensors, file)
    return float(abs(draw(openvino_genai.AdapterConfig(openvino_genai.Adapter(file), 1.0)) - draw()).mean())


print(f"openvino-genai {version('openvino-genai')}, openvino {version('openvino')}")
print("expected: alpha 1 changes the picture as half the up matrix does, alpha 8 as four times the up matrix")
seen = {alpha: change(alpha) for alpha in (None, 1, 2, 8)}
others = {factor: change(2, factor) for factor in (0.5, 4.0)}
print(f"seen: mean change of the picture in levels, by alpha: {seen}; by the up matrix: {others}")
recorded = len(set(seen.values())) == 1 and others[0.5] != seen[2] != others[4.0]
sys.exit(0 if recorded else "the behaviour has changed")
EOF
