"""A model's networks as functions of arrays: the only place that knows the names of their tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import embedding
from partway.diffusion.reuse import Reuse
from partway.engines import Engine
from partway.errors import NetworkError
from partway.graphs import DEEP, SHALLOW, VAES
from partway.model.package import Package
from partway.model.tiles import Tiling, blended, square

Array = NDArray[np.float32]


class Posterior(NamedTuple):
    """What the VAE says of pictures, unscaled: mean and standard deviation, each (B, C, h, w)."""

    mean: Array
    std: Array | None  # None when the graph samples by itself

    @property
    def mode(self) -> "Posterior":
        """Its likeliest latents, the mean, with nothing left to draw."""
        return Posterior(self.mean, None)


class Text(NamedTuple):
    """The text encoders' embeddings of B prompts."""

    tokens: Array  # (B, 77, D), an embedding for each token
    pooled: Array | None  # (B, P), the pooled embedding of each prompt; None for models that take none

    def zeros(self) -> "Text":
        """Zeros of the same shapes, which SDXL takes for an empty negative prompt."""
        return Text(np.zeros_like(self.tokens), None if self.pooled is None else np.zeros_like(self.pooled))


class Conditioning(NamedTuple):
    """The UNet's inputs beside latents and timestep; each (B, ...), or None for models that take none."""

    tokens: Array
    pooled: Array | None = None
    time_ids: Array | None = None

    @classmethod
    def of(cls, views: Sequence[tuple[Text, Array | None]], repeats: int) -> "Conditioning":
        """The conditioning of views, each with its text and time_ids, for ``repeats`` pictures each."""
        tokens, pooled, time_ids = (
            [array.repeat(repeats, axis=0) for array in column if array is not None]
            for column in zip(*((text.tokens, text.pooled, ids) for text, ids in views), strict=True)
        )
        return cls(np.concatenate(tokens), *(np.concatenate(some) if some else None for some in (pooled, time_ids)))

    def last(self, count: int) -> "Conditioning":
        """The last ``count`` of the batch."""
        rest = (None if array is None else array[-count:] for array in (self.pooled, self.time_ids))
        return Conditioning(self.tokens[-count:], *rest)


@dataclass(frozen=True)
class Networks:
    """The networks of one package on one engine; each call raises `NetworkError` if it fails or is not finite."""

    engine: Engine
    package: Package
    tile: int | None = None  # pixels; None for whole pictures where the graphs take them
    overlap: int | None = None  # pixels; None is a quarter of the tile
    vae_tile: int | None = None  # the VAE's, where they are not the UNet's
    vae: str = "own"  # a key of `VAES`
    predicted: dict[str, list[int]] = field(default_factory=dict)  # batch of each call so far, by graph of the UNet

    def tiling(self, network: str) -> Tiling | None:
        """How a network's pictures are cut: as asked, or as a graph of fixed size needs it."""
        _, _, height, width = next(
            port.shape for port in self.engine.signature(network).inputs.values() if len(port.shape) == 4
        )
        factor = self.package.vae_scale_factor
        if height is not None and width is not None:
            if network == self.encoder:
                height, width = height // factor, width // factor
            fixed = self.overlap // factor if self.overlap is not None else min(height, width) // 4
            return Tiling(height, width, fixed, exact=True)
        return square((network != "unet" and self.vae_tile) or self.tile, self.overlap, factor)

    def encode_text(self, tokens: Sequence[NDArray[np.int64]]) -> Text:
        """Token ids (B, 77), one array for each text encoder -> their embeddings.

        SDXL takes the layer before the last of each, side by side, and the pooled embedding of the second.
        """
        names = self.package.text_encoders
        inputs = [{self._input(name, 0): ids} for name, ids in zip(names, tokens, strict=True)]
        if not self.package.size_conditions:
            return Text(self._first(names[0], inputs[0]), None)
        outputs = [self.engine.run(name, each) for name, each in zip(names, inputs, strict=True)]
        layers = [_layer_before_last(name, output) for name, output in zip(names, outputs, strict=True)]
        if "text_embeds" not in outputs[-1]:
            raise NetworkError(f"{names[-1]} gives no text_embeds; export the model again")
        return Text(np.concatenate(layers, axis=-1), _finite(names[-1], outputs[-1]["text_embeds"]))

    def encode_image(self, pixels: Array) -> Posterior:
        """Pixels (B, 3, H, W) in [-1, 1] -> the posterior over latents."""
        name = self._input(self.encoder, 0)
        moments = self._tiled(
            self.encoder,
            pixels,
            lambda part: self._first(self.encoder, {name: part}),
            reads=self.package.vae_scale_factor,
        )
        _, channels, h, w = self.package.latent_shape(pixels.shape[3], pixels.shape[2])
        if moments.shape[1] == channels:
            moments = moments if self.vae == "own" else self._unscaled(moments)
            return Posterior(_shaped(self.encoder, moments, (len(pixels), channels, h, w)), None)
        _shaped(self.encoder, moments, (len(pixels), 2 * channels, h, w))
        mean, log_variance = np.split(moments, 2, axis=1)
        return Posterior(mean, np.exp(0.5 * np.clip(log_variance, -30.0, 20.0)))

    def to_latents(self, posterior: Posterior, normal: Array) -> Array:
        """A sample of the posterior as scaled latents; ``normal`` is shaped like its mean."""
        z = posterior.mean if posterior.std is None else posterior.mean + posterior.std * normal
        return (z - np.float32(self.package.latent_shift)) * np.float32(self.package.latent_scale)

    def predict(
        self,
        x: Array,
        timestep: float,
        conditioning: Conditioning,
        guidance_scale: float = 1.0,
        reuse: Reuse | None = None,
    ) -> Array:
        """The UNet's output for inputs (B, C, h, w) and their conditioning, tile by tile where it needs tiles.

        ``guidance_scale`` is for networks that were distilled with guidance, which take it as an input. ``reuse``
        says whether the shallow graph will do.
        """
        reuse = reuse or Reuse()
        network = "unet" if reuse.full else SHALLOW
        return self._tiled(
            "unet", x, lambda part: self._predict(network, part, timestep, conditioning, guidance_scale, reuse)
        )

    def _predict(
        self, network: str, x: Array, timestep: float, conditioning: Conditioning, guidance_scale: float, reuse: Reuse
    ) -> Array:
        """One tile, in as many calls as its batch needs."""
        ports = self.engine.signature(network).inputs
        names = {name.split(".")[-1]: name for name in ports}
        inputs = {"sample": x, "encoder_hidden_states": conditioning.tokens}
        inputs |= {} if conditioning.pooled is None else {"text_embeds": conditioning.pooled}
        inputs |= {} if conditioning.time_ids is None else {"time_ids": conditioning.time_ids}
        inputs |= {DEEP: reuse.take(len(x))} if network == SHALLOW else {}
        try:
            time = names.pop("timestep")
            inputs = {names.pop(key): array for key, array in inputs.items()}
        except KeyError as missing:
            raise NetworkError(f"the unet has no input {missing}; export the model again") from None
        scale = names.pop("timestep_cond", None)
        if (scale is not None) != (self.package.guidance == "embedded"):
            raise NetworkError(
                "the unet and its config.json differ on whether it takes the guidance scale; export again"
            )
        if names:
            raise NetworkError(f"the unet also needs {', '.join(sorted(names))}; its kind of model is not supported")
        times = np.full([size or 1 for size in ports[time].shape], timestep)
        fixed = next(ports[name].shape[0] for name in inputs)
        batch = fixed or min(self.engine.batch or len(x), len(x) // reuse.parts)
        short = -len(x) % fixed if fixed else 0  # a graph of fixed batch is fed copies of the last picture to fill it
        if scale:
            inputs[scale] = np.repeat(embedding(guidance_scale, self.package.guidance_width), len(x), axis=0)
        inputs = {name: np.concatenate([a, *[a[-1:]] * short]) if short else a for name, a in inputs.items()}
        outputs = [
            self.engine.run(network, {time: times, **{name: a[i : i + batch] for name, a in inputs.items()}})
            for i in range(0, len(x) + short, batch)
        ]

        def joined(name: str) -> Array:
            parts = [output[name] for output in outputs]
            return (parts[0] if len(parts) == 1 else np.concatenate(parts))[: len(x)]

        self.predicted.setdefault(network, []).append(len(x))
        if DEEP in outputs[0]:
            reuse.keep(joined(DEEP))
        output = _finite(network, joined(next(iter(outputs[0]))))
        return _shaped(network, output, (len(x), self.package.latent_channels, *x.shape[2:]))

    def decode_image(self, latents: Array) -> Array:
        """Scaled latents (B, C, h, w) -> pixels (B, 3, H, W), about [-1, 1]; one picture at a time to bound memory."""
        z = self._unscaled(latents) if self.vae == "own" else latents
        name = self._input(self.decoder, 0)

        def decode(part: Array) -> Array:
            return self._first(self.decoder, {name: part})

        pixels = np.concatenate(
            [self._tiled(self.decoder, one[None], decode, writes=self.package.vae_scale_factor) for one in z]
        )
        h, w = (side * self.package.vae_scale_factor for side in z.shape[2:])
        return _shaped(self.decoder, pixels, (len(z), 3, h, w))

    @property
    def encoder(self) -> str:
        """The network that encodes pictures."""
        return VAES[self.vae][0]

    @property
    def decoder(self) -> str:
        """The network that decodes latents."""
        return VAES[self.vae][1]

    def _unscaled(self, latents: Array) -> Array:
        """Scaled latents as the model's own VAE has them."""
        return latents / np.float32(self.package.latent_scale) + np.float32(self.package.latent_shift)

    def _tiled(
        self, network: str, x: Array, run: Callable[[Array], Array], *, reads: int = 1, writes: int = 1
    ) -> Array:
        tiling = self.tiling(network)
        return run(x) if tiling is None else blended(run, x, tiling, reads=reads, writes=writes)

    def _input(self, network: str, index: int) -> str:
        return list(self.engine.signature(network).inputs)[index]

    def _first(self, network: str, inputs: dict[str, NDArray[Any]]) -> Array:
        """The first output, which must be finite."""
        return _finite(network, next(iter(self.engine.run(network, inputs).values())))


def _finite(network: str, output: Array) -> Array:
    if not np.isfinite(output).all():
        raise NetworkError(
            f"{network} returned values that are not finite; try precision fp32, or check the model: partway doctor"
        )
    return output


def _layer_before_last(network: str, outputs: dict[str, Array]) -> Array:
    """The hidden state (B, 77, D) before the last, by optimum's names of them: hidden_states.0 and so on."""
    layers = {int(name.split(".")[-1]): name for name in outputs if name.startswith("hidden_states.")}
    if len(layers) < 2:
        raise NetworkError(f"{network} gives no hidden states, which SDXL needs; export the model again")
    return _finite(network, outputs[layers[sorted(layers)[-2]]])


def _shaped(network: str, output: Array, shape: tuple[int, ...]) -> Array:
    if output.shape != shape:
        found, wanted = ("x".join(map(str, sizes)) for sizes in (output.shape, shape))
        raise NetworkError(f"{network} returned {found} where {wanted} was due; it does not fit its config.json")
    return output
