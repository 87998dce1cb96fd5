"""Where and how networks run, as a user sets it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from partway.errors import InputError, choose
from partway.support.amounts import amount
from partway.support.keywords import refuse_unknown
from partway.support.machine import cores, on_x86


@dataclass(frozen=True)
class EngineOptions:
    """Where and how networks run.

    device     "CPU", "GPU", "NPU", or the engine's own name for one
    threads    None leaves the number to the engine
    precision  arithmetic: "fp32" (default: the same pictures everywhere), "bf16", "fp16", or "fastest", the device's
               own choice; ONNX Runtime computes in the precision of the exported graph and takes only "fp32"
    cache_dir  folder for compiled networks (OpenVINO), so that the second start is quick
    cache_limit  the most that they may take there, in bytes or as text like "4GB"; what is used least goes first
    static     compile for the exact sizes of a run (OpenVINO): faster steps, a compilation for each new size
    batch      the largest batch a network is given at once; 1 makes guidance two calls
    stream     whether the UNet runs in segments, each loaded and released at every call (packages cut at export)
    release    whether networks are released between the stages of a run, for less memory and slower runs
    memory_limit  the most memory runs may take, in bytes or as text like "1500MB"; None for no limit
    """

    device: str = "CPU"
    threads: int | None = None
    precision: str | None = None
    cache_dir: str | Path | None = None
    cache_limit: int | str = "4GB"
    static: bool = False
    batch: int | None = None
    stream: bool = False
    release: bool = False
    memory_limit: int | str | None = None

    def __new__(cls, *values: object, **given: object) -> Self:
        """Refuse names that are no options, which Python would call a `TypeError`."""
        refuse_unknown("option", given, cls.__dataclass_fields__, {})
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("threads", "batch"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        if self.threads is not None and self.threads > (os.cpu_count() or 1):
            raise InputError(f"threads must be at most {os.cpu_count()}, this machine's number, not {self.threads}")
        amount("cache_limit", self.cache_limit)
        choose("precision", self.precision or "fp32", ("fp32", "bf16", "fp16", "fastest"))
        if self.limit is not None and self.device.upper() != "CPU":
            raise InputError(f"memory_limit is for device CPU; leave it out for {self.device}")

    @property
    def frugal(self) -> bool:
        """Whether memory counts more than time."""
        return self.release or self.stream or self.limit is not None

    @property
    def tiled(self) -> bool:
        """Whether convolutions in float32 may be made with fewer products, for more memory in the VAE.

        On x86, where OpenVINO has no such convolutions of its own; not where memory is limited or weights are streamed.
        """
        return self.static and not self.stream and self.limit is None and on_x86()

    @property
    def at_once(self) -> int:
        """How many runs of so many ``threads`` the processor has room for; 1 where the engine chooses its threads.

        One, too, where runs share a device, or release the networks that others use.
        """
        if self.threads is None or self.frugal or self.device.upper() != "CPU":
            return 1
        return max(1, cores() // self.threads)

    @property
    def cache_bytes(self) -> int:
        """``cache_limit`` in bytes."""
        return amount("cache_limit", self.cache_limit)

    @property
    def limit(self) -> int | None:
        """``memory_limit`` in bytes."""
        return None if self.memory_limit is None else amount("memory_limit", self.memory_limit)
