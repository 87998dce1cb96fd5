"""A model's networks as functions of arrays: the only place that knows the names of their tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.engines import Engine
from partway.errors import NetworkError
from partway.guidance import embedding
from partway.package import Package
from partway.tiles import Tiling, blended

Array = NDArray[np.float32]


class Posterior(NamedTuple):
    """What the VAE says of pictures, unscaled: mean and standard deviation, each (B, C, h, w)."""

    mean: Array
    std: Array | None  # None when the graph samples by itself

    @property
    def mode(self) -> "Posterior":
        """Its likeliest latents, the mean, with nothing left to draw."""
        return Posterior(self.mean, None)


@dataclass(frozen=True)
class Networks:
    """The networks of one package on one engine; each call raises `NetworkError` if it fails or is not finite."""

    engine: Engine
    package: Package
    tile: int | None = None  # pixels; None for whole pictures where the graphs take them
    overlap: int | None = None  # pixels; None is a quarter of the tile

    def tiling(self, network: str) -> Tiling | None:
        """How a network's pictures are cut: as asked, or as a graph of fixed size needs it."""
        _, _, height, width = next(
            port.shape for port in self.engine.signature(network).inputs.values() if len(port.shape) == 4
        )
        cell = self.package.pixels_per_latent
        if height is not None and width is not None:
            if network == "vae_encoder":
                height, width = height // cell, width // cell
            fixed = self.overlap // cell if self.overlap is not None else min(height, width) // 4
            return Tiling(height, width, fixed, exact=True)
        if self.tile is None:
            return None
        side = self.tile // cell
        return Tiling(side, side, side // 4 if self.overlap is None else self.overlap // cell)

    def encode_text(self, tokens: NDArray[np.int64]) -> Array:
        """Token ids (B, 77) -> hidden states (B, 77, D)."""
        return self._first("text_encoder", {self._input("text_encoder", 0): tokens})

    def encode_image(self, pixels: Array) -> Posterior:
        """Pixels (B, 3, H, W) in [-1, 1] -> the posterior over latents."""
        name = self._input("vae_encoder", 0)
        moments = self._tiled(
            "vae_encoder", pixels, lambda part: self._first("vae_encoder", {name: part}), reads=self._cell
        )
        _, channels, h, w = self.package.latent_shape(pixels.shape[3], pixels.shape[2])
        if moments.shape[1] == channels:
            return Posterior(_shaped("vae_encoder", moments, (len(pixels), channels, h, w)), None)
        _shaped("vae_encoder", moments, (len(pixels), 2 * channels, h, w))
        mean, log_variance = np.split(moments, 2, axis=1)
        return Posterior(mean, np.exp(0.5 * np.clip(log_variance, -30.0, 20.0)))

    def to_latents(self, posterior: Posterior, normal: Array) -> Array:
        """A sample of the posterior as scaled latents; ``normal`` is shaped like its mean."""
        z = posterior.mean if posterior.std is None else posterior.mean + posterior.std * normal
        return (z - np.float32(self.package.latent_shift)) * np.float32(self.package.latent_scale)

    def predict(self, x: Array, timestep: float, context: Array, guidance_scale: float = 1.0) -> Array:
        """The UNet's output for inputs (B, C, h, w) and text (B, 77, D), tile by tile where it needs tiles.

        ``guidance_scale`` is for networks that were distilled with guidance, which take it as an input.
        """
        return self._tiled("unet", x, lambda part: self._predict(part, timestep, context, guidance_scale))

    def _predict(self, x: Array, timestep: float, context: Array, guidance_scale: float) -> Array:
        """One tile, in as many calls as its batch needs."""
        names = {name.split(".")[-1]: name for name in self.engine.signature("unet").inputs}
        try:
            sample, time, text = (names.pop(key) for key in ("sample", "timestep", "encoder_hidden_states"))
        except KeyError as missing:
            raise NetworkError(f"the unet has no input {missing}; export the model again") from None
        scale = names.pop("timestep_cond", None)
        if (scale is not None) != (self.package.guidance == "embedded"):
            raise NetworkError(
                "the unet and its config.json differ on whether it takes the guidance scale; export again"
            )
        if names:
            raise NetworkError(f"the unet also needs {', '.join(sorted(names))}; its kind of model is not supported")
        ports = self.engine.signature("unet").inputs
        times = np.full([size or 1 for size in ports[time].shape], timestep)
        fixed = ports[sample].shape[0]
        batch = fixed or self.engine.batch or len(x)
        short = -len(x) % fixed if fixed else 0  # a graph of fixed batch is fed copies of the last picture to fill it
        x, context = (np.concatenate([a, *[a[-1:]] * short]) if short else a for a in (x, context))
        inputs = {sample: x, text: context}
        if scale:
            told = embedding(guidance_scale, self.package.guidance_width)
            inputs[scale] = np.repeat(told, len(x), axis=0)
        outputs = [
            self._first("unet", {time: times} | {name: a[i : i + batch] for name, a in inputs.items()})
            for i in range(0, len(x), batch)
        ]
        output = outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
        return _shaped("unet", output, (len(x), self.package.latent_channels, *x.shape[2:]))[: len(x) - short]

    def decode_image(self, latents: Array) -> Array:
        """Scaled latents (B, C, h, w) -> pixels (B, 3, H, W), about [-1, 1]; one picture at a time to bound memory."""
        z = latents / np.float32(self.package.latent_scale) + np.float32(self.package.latent_shift)
        name = self._input("vae_decoder", 0)

        def decode(part: Array) -> Array:
            return self._first("vae_decoder", {name: part})

        pixels = np.concatenate([self._tiled("vae_decoder", one[None], decode, writes=self._cell) for one in z])
        h, w = (side * self.package.pixels_per_latent for side in z.shape[2:])
        return _shaped("vae_decoder", pixels, (len(z), 3, h, w))

    @property
    def _cell(self) -> int:
        return self.package.pixels_per_latent

    def _tiled(
        self, network: str, x: Array, run: Callable[[Array], Array], *, reads: int = 1, writes: int = 1
    ) -> Array:
        tiling = self.tiling(network)
        return run(x) if tiling is None else blended(run, x, tiling, reads=reads, writes=writes)

    def _input(self, network: str, index: int) -> str:
        return list(self.engine.signature(network).inputs)[index]

    def _first(self, network: str, inputs: dict[str, NDArray[Any]]) -> Array:
        """The first output, which must be finite."""
        output: Array = next(iter(self.engine.run(network, inputs).values()))
        if not np.isfinite(output).all():
            raise NetworkError(
                f"{network} returned values that are not finite; try precision fp32, or check the model: partway doctor"
            )
        return output


def _shaped(network: str, output: Array, shape: tuple[int, ...]) -> Array:
    if output.shape != shape:
        found, wanted = ("x".join(map(str, sizes)) for sizes in (output.shape, shape))
        raise NetworkError(f"{network} returned {found} where {wanted} was due; it does not fit its config.json")
    return output
