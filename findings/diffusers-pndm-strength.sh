#!/usr/bin/env bash
# diffusers' PNDM, the scheduler in Stable Diffusion 1.x's own folders, goes wrong at every strength below 1.
#
# Its list of timesteps names the second one twice, because the warm-up of its multistep formula evaluates that level
# again. Image-to-image takes the end of that list, without the pair, while the scheduler counts calls and still treats
# the second one as the repeat: it takes the first step twice, and from then on each latent is one step noisier than
# the timestep that the network is told. There is no error, only a worse picture, of less contrast and with noise left.
#
# How it shows: a network that knows the noise exactly makes every solver land where the last level says, on
# 0.99957 of the picture and 0.029 of the noise. DDIM with the same settings does. No weights are needed.
#
# Why it matters: exported ONNX and OpenVINO packages carry that scheduler's configuration along; optimum runs
# diffusers' class, and a runtime that copies the class to equal diffusers' pictures copies the fault.
#
# Source: diffusers issue 9090 shows the list (as a question); Liu et al. 2022, arXiv 2202.09778, the method.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    diffusers==0.39.0 transformers==4.57.6 huggingface_hub==0.36.2 torch==2.13.0 numpy==2.4.6
PYTHONWARNINGS=ignore "$folder/venv/bin/python" - <<'EOF'
import sys
from types import SimpleNamespace

import diffusers
import torch
from diffusers import DDIMScheduler, PNDMScheduler, StableDiffusionImg2ImgPipeline

COMMON = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
RUNS = (20, 0.3), (20, 0.5), (20, 0.8), (50, 0.75), (20, 1.0)
picture, noise = torch.randn(2, 1, 4, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def shares(scheduler, steps, strength):
    """How much of the picture and of the noise the last latent holds, and the number of evaluations."""
    scheduler.set_timesteps(steps)
    pipeline = SimpleNamespace(scheduler=scheduler)
    timesteps, _ = StableDiffusionImg2ImgPipeline.get_timesteps(pipeline, steps, strength, "cpu")
    latent = scheduler.add_noise(picture, noise, timesteps[:1])
    for timestep in timesteps:
        latent = scheduler.step(noise, timestep, latent).prev_sample
    both = torch.stack([picture.flatten(), noise.flatten()], 1)
    return *torch.linalg.lstsq(both, latent.reshape(-1, 1)).solution.flatten().tolist(), len(timesteps)


print(f"diffusers {diffusers.__version__}, torch {torch.__version__}")
print("expected: 0.9996 of the picture and 0.029 of the noise, whatever the steps, strength and scheduler")
print("seen: DDIM everywhere, PNDM at strength 1 only")
print("steps, strength; scheduler: picture, noise, evaluations")
away = {}
for kind, more in ((DDIMScheduler, {"clip_sample": False}), (PNDMScheduler, {"skip_prk_steps": True})):
    for steps, strength in RUNS:
        kept, left, count = shares(kind(**COMMON, **more, set_alpha_to_one=False), steps, strength)
        away[kind, strength] = max(abs(kept - 0.99957), abs(left - 0.02916))
        print(f"  {steps} {strength:<4} {kind.__name__:14} {kept:.4f} {left:.4f} {count}")
wrong = {run for run, distance in away.items() if distance > 0.001}
recorded = {(PNDMScheduler, strength) for _, strength in RUNS if strength < 1}
sys.exit(0 if wrong == recorded else "the behaviour has changed")
EOF
