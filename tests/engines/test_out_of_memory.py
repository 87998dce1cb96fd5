"""Where memory runs out, the error says so, also where the library says nothing."""

import subprocess
import sys
from importlib.util import find_spec
from unittest.mock import Mock

import numpy as np
import pytest

import partway
from partway import NetworkError
from partway.engines.failures import out_of_memory

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs limits of address space")
UNET = {
    "sample": np.zeros((1, 4, 8, 8), np.float32),
    "timestep": np.zeros(1, np.float32),
    "encoder_hidden_states": np.zeros((1, 77, 8), np.float32),
}
ENGINES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is an extra")),
]
START = """
import resource, sys
import numpy as np, partway
engine, threads, room = sys.argv[1], int(sys.argv[2]), int(float(sys.argv[3]) * 2**20)
networks = partway.load(engine=engine, threads=threads).engine
__import__(engine)

def decode(side):
    return networks.run("vae_decoder", {"latent_sample": np.ones((1, 4, side, side), np.float32)})["sample"]

def limit():
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))

def attempt(action, *arguments):
    try:
        print(action(*arguments).shape)
    except partway.PartwayError as error:
        print(type(error).__name__, error)
"""
LOADING = "limit()\nattempt(decode, 8)"
RUNNING = "decode(8)\nlimit()\nattempt(decode, 256)"


def attempt(code, engine, threads, room):
    command = [sys.executable, "-c", f"{START}\n{code}", engine, str(threads), str(room)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_says_so_with_what_helps(engine, threads):
    """On one thread OpenVINO itself says nothing, and returns what it computed before."""
    said = attempt(RUNNING, engine, threads, 64)
    assert said.startswith(f"NetworkError vae_decoder: out of memory in {engine}; use ")


def test_loading_says_so():
    said = attempt(LOADING, "onnxruntime", 1, 4)
    assert said.startswith("NetworkError vae_decoder: out of memory in onnxruntime; use ")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Exception from core.cpp:117:\nstd::bad_alloc\n")])
@pytest.mark.parametrize("fails", ["read_model", "compile_model"])
def test_loading_with_openvino_says_so(toy_folder, error, fails):
    """By what it raises: in earnest it may crash instead."""
    pytest.importorskip("openvino")
    engine = partway.load(toy_folder, engine="openvino").engine
    real, fake = engine._core, Mock(wraps=engine._core)
    getattr(fake, fails).side_effect = error
    engine._core = fake
    with pytest.raises(NetworkError, match="unet: out of memory in openvino; use "):
        engine.run("unet", UNET)
    engine._core = real
    assert engine.run("unet", UNET)["out_sample"].shape == (1, 4, 8, 8)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_one_thread_computed_is_taken_where_there_is_memory(toy_folder, engine):
    engine = partway.load(toy_folder, engine=engine, threads=1).engine
    (first, *others) = (engine.run("unet", UNET)["out_sample"] for _ in range(3))
    assert np.abs(first).max() < 100 and all((other == first).all() for other in others)


@pytest.mark.parametrize(
    "said",
    [
        "std::bad_alloc",
        "bad allocation",
        "Failed to allocate memory for requested buffer of size 41943040",
        "Can not create file mapping for 4, err=Cannot allocate memory",
        "CUDA failure 2: out of memory",
        "8007000E Not enough memory; DXGI_ERROR E_OUTOFMEMORY",
        "[GPU] out of GPU resources",
        "clEnqueueNDRangeKernel, error code: -5 CL_OUT_OF_RESOURCES",
        "CL_MEM_OBJECT_ALLOCATION_FAILURE",
        "[GPU] Exceeded max size of memory object allocation",
    ],
)
def test_what_libraries_say_of_memory(said):
    assert "out of memory in abacus" in str(out_of_memory("unet", "abacus", RuntimeError(f"at line 3:\n{said}\n")))


def test_other_errors_are_others():
    assert out_of_memory("unet", "abacus", MemoryError()) is not None
    for said in ("Invalid rank for input", "Resource temporarily unavailable", ""):
        assert out_of_memory("unet", "abacus", RuntimeError(said)) is None
