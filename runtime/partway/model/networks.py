"""A model's networks as functions of arrays: with `unet`, the only place that knows the names of their tensors.

Outputs are checked here: what is not finite, a black picture elsewhere, is an error that names the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from partway.diffusion.guidance import embedding
from partway.diffusion.reuse import Reuse
from partway.engines import Engine, token_vectors
from partway.engines.token_vectors import Vectors
from partway.errors import InputError, NetworkError
from partway.graphs import DEEP, SHALLOW, TINY, TINY_DECODER, VAES
from partway.model import unet
from partway.model.control_evaluator import ControlEvaluator
from partway.model.package import Package
from partway.model.texts import Encoded, TextEmbeddings
from partway.model.tiles import UNTILED, Tilings, blended

Array = NDArray[np.float32]


class Posterior(NamedTuple):
    """The VAE's distribution of the latents of pictures, unscaled: mean and standard deviation, each (B, C, h, w)."""

    mean: Array
    std: Array | None  # None when the graph samples by itself

    @property
    def mode(self) -> "Posterior":
        """Its likeliest latents, the mean, with nothing left to draw."""
        return Posterior(self.mean, None)


class Conditioning(NamedTuple):
    """What the UNet's predictions are conditioned on beside the noise level, each (B, ...); None where it takes none.

    tokens    (B, N, D), the text's embedding of each token
    pooled    (B, P), its pooled embedding
    time_ids  (B, 5 or 6), `partway.model.sizes`
    """

    tokens: Array
    pooled: Array | None = None
    time_ids: Array | None = None

    @classmethod
    def of(cls, parts: Sequence[tuple[TextEmbeddings, Array | None]], pictures: int) -> "Conditioning":
        """Text embeddings and time_ids of each prediction, one after the other, for so many pictures each."""
        columns = zip(*((text.tokens, text.pooled, time_ids) for text, time_ids in parts), strict=True)
        tokens, *others = (
            [array.repeat(pictures, axis=0) for array in column if array is not None] for column in columns
        )
        return cls(np.concatenate(tokens), *(np.concatenate(other) if other else None for other in others))

    def last(self, count: int) -> "Conditioning":
        """That of the last ``count`` of the batch."""
        rest = (None if array is None else array[-count:] for array in (self.pooled, self.time_ids))
        return Conditioning(self.tokens[-count:], *rest)

    def inputs(self) -> dict[str, Array]:
        """The UNet's inputs, by diffusers' names."""
        named = {"encoder_hidden_states": self.tokens, "text_embeds": self.pooled, "time_ids": self.time_ids}
        return {name: array for name, array in named.items() if array is not None}


@dataclass(frozen=True)
class Networks:
    """The networks of one package on one engine; each call raises `NetworkError` if it fails or is not finite.

    tilings  how pictures are cut; by default the networks are given whole ones
    vae      a key of `VAES`
    controls  the ControlNets and adapters of this run
    """

    engine: Engine
    package: Package
    tilings: Tilings = UNTILED
    vae: str = "own"
    controls: ControlEvaluator | None = None

    @property
    def encoder(self) -> str:
        """The network that encodes pictures."""
        return VAES[self.vae][0]

    @property
    def decoder(self) -> str:
        """The network that decodes latents."""
        return VAES[self.vae][1]

    @property
    def quick_decoder(self) -> Callable[[Array], Array] | None:
        """What `decode_image` is with the tiny decoder; None where the model has none."""
        return replace(self, vae="tiny-decoder").decode_image if TINY_DECODER in self.package.networks else None

    def encode_chunk(self, network: str, ids: Sequence[int], skip: int = 0, vectors: Vectors | None = None) -> Encoded:
        """Token ids (N,), with begin and end -> their embeddings by one text encoder.

        ``skip`` leaves out so many of its last layers (`partway.Settings.clip_skip`). With ``vectors`` the network is
        one that takes them (`partway.engines.token_vectors`). SDXL takes the layer before the last of each encoder, and
        the pooled embedding of the last one.
        """
        inputs: dict[str, NDArray[Any]] = {self._ids_of(network): np.asarray([ids], np.int64)}
        if vectors is not None:
            inputs |= vectors.inputs()
        outputs = self.engine.run(network, inputs)
        if not self.package.size_conditions:
            last = _finite(network, next(iter(outputs.values())))
            return Encoded((_normed(network, last, outputs, skip) if skip else last)[0], None)
        tokens, pooled = _finite(network, _layer(network, outputs, skip + 1)), None
        if network == self.package.text_encoders[-1]:
            if "text_embeds" not in outputs:
                raise NetworkError(f"{network} gives no text_embeds; export the model again")
            pooled = _finite(network, outputs["text_embeds"])[0]
        return Encoded(tokens[0], pooled)

    def encode_image(self, pixels: Array) -> Posterior:
        """Pixels (B, 3, H, W) in [-1, 1] -> the posterior over latents."""
        name = self._first_input(self.encoder)

        def encode(tile: Array) -> Array:
            return self._first_output(self.encoder, {name: tile})

        moments = blended(encode, pixels, self.tilings.encoder, reads=self.package.vae_scale_factor)
        _, channels, h, w = self.package.latent_shape(pixels.shape[3], pixels.shape[2])
        if moments.shape[1] == channels:
            moments = self._unscaled(moments) if self.encoder in TINY else moments
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
        """The UNet's output (B, C, h, w) for inputs (B, C or more, h, w) and conditioning of the same batch.

        ``guidance_scale`` is for networks that were distilled with guidance, which take it as an input. ``reuse``
        says whether the shallow graph will do.
        """
        inputs, reuse, controls = conditioning.inputs(), reuse or Reuse(), self.controls
        if self.package.guidance == "embedded":
            scale = embedding(guidance_scale, self.package.guidance_width)
            inputs[unet.GUIDANCE] = np.repeat(scale, len(x), axis=0)

        def predict(tile: Array, *hints: Array) -> Array:
            told = {unet.SAMPLE: tile, **inputs}
            if controls is not None and reuse.full:
                told |= controls.inputs(self.engine, timestep, told, hints, batch=len(tile) // reuse.parts)
            elif controls is not None:
                told |= controls.kept(self.engine, len(tile))
            return self._predict(timestep, told, reuse)

        return blended(predict, x, self.tilings.unet, beside=controls.hints if controls else ())

    def _predict(self, timestep: float, inputs: dict[str, Array], reuse: Reuse) -> Array:
        """The output for one tile, by the whole UNet or its shallow graph, and what it leaves for the next one."""
        network, (count, _, h, w) = "unet" if reuse.full else SHALLOW, inputs[unet.SAMPLE].shape
        if network == SHALLOW:
            inputs[DEEP] = reuse.take(count)
        outputs = unet.evaluate(self.engine, network, timestep, inputs, batch=count // reuse.parts)
        if DEEP in outputs:
            reuse.keep(outputs[DEEP])
        output = _finite(network, next(iter(outputs.values())))
        return _shaped(network, output, (count, self.package.latent_channels, h, w))

    def decode_image(self, latents: Array) -> Array:
        """Scaled latents (B, C, h, w) -> pixels (B, 3, H, W), about [-1, 1]; one picture at a time to bound memory."""
        z = latents if self.decoder in TINY else self._unscaled(latents)
        name, factor = self._first_input(self.decoder), self.package.vae_scale_factor

        def decode(tile: Array) -> Array:
            return self._first_output(self.decoder, {name: tile})

        pixels = np.concatenate([blended(decode, one[None], self.tilings.decoder, writes=factor) for one in z])
        h, w = (side * factor for side in z.shape[2:])
        return _shaped(self.decoder, pixels, (len(z), 3, h, w))

    def _unscaled(self, latents: Array) -> Array:
        """Scaled latents as the model's own VAE has them."""
        return latents / np.float32(self.package.latent_scale) + np.float32(self.package.latent_shift)

    def _ids_of(self, network: str) -> str:
        names = self.engine.signature(network).inputs
        return next((name for name in names if name not in (token_vectors.GIVEN, token_vectors.VECTORS)), "input_ids")

    def _first_input(self, network: str) -> str:
        return next(iter(self.engine.signature(network).inputs))

    def _first_output(self, network: str, inputs: dict[str, NDArray[Any]]) -> Array:
        """The first output, which must be finite."""
        return _finite(network, next(iter(self.engine.run(network, inputs).values())))


def _finite(network: str, output: Array) -> Array:
    if not np.isfinite(output).all():
        raise NetworkError(
            f"{network} returned values that are not finite; try precision fp32, or check the model: partway doctor"
        )
    return output


def _layer(network: str, outputs: Mapping[str, Array], skip: int) -> Array:
    """The hidden state (B, N, D) so many before the last, by optimum's names of them: hidden_states.0 and so on."""
    layers = {int(name.split(".")[-1]): name for name in outputs if name.startswith("hidden_states.")}
    if len(layers) < 2:
        raise NetworkError(f"{network} gives no hidden states, which SDXL and clip_skip need; export the model again")
    if skip >= len(layers):
        raise InputError(f"clip_skip leaves none of the {len(layers) - 1} layers of {network}; leave out fewer")
    return outputs[layers[sorted(layers)[-1 - skip]]]


def _normed(network: str, last: Array, outputs: Mapping[str, Array], skip: int) -> Array:
    """An earlier hidden state behind the norm that the last one goes through.

    A graph has no place to ask for the norm's scale and shift, so they are solved from what it made of the last one.
    """
    before, wanted = (_unit(_layer(network, outputs, back)) for back in (0, skip))
    deviation, mean = before - before.mean(axis=1, keepdims=True), last.mean(axis=1, keepdims=True)
    spread = np.square(deviation).sum(axis=1, keepdims=True)
    scale = (deviation * (last - mean)).sum(axis=1, keepdims=True) / np.maximum(spread, 1e-12)
    shift = mean - scale * before.mean(axis=1, keepdims=True)
    return _finite(network, (scale * wanted + shift).astype(np.float32))


def _unit(tokens: Array) -> NDArray[np.float64]:
    """Tokens with mean 0 and variance 1 each."""
    wide = tokens.astype(np.float64)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-5)


def _shaped(network: str, output: Array, shape: tuple[int, ...]) -> Array:
    if output.shape != shape:
        found, wanted = ("x".join(map(str, sizes)) for sizes in (output.shape, shape))
        raise NetworkError(f"{network} returned {found} where {wanted} was due; it does not fit its config.json")
    return output
