"""What the UNet is told and shown: texts and pictures, each encoded once for as long as it is remembered."""

from dataclasses import dataclass
from hashlib import sha256

from partway.diffusion.sampling import Array
from partway.model import sizes
from partway.model.networks import Context, Networks, Posterior, Text
from partway.model.tokens import Tokenizer
from partway.model.views import GUIDED, View
from partway.settings import Settings
from partway.support.caching import Recent

Texts = Recent[str, Text]
Posteriors = Recent[tuple[str | int | bytes, ...], Posterior]


@dataclass(frozen=True)
class Encoders:
    """The encoders of a run, and what earlier runs have left of theirs."""

    networks: Networks
    tokenizers: tuple[Tokenizer, ...]
    texts: Texts
    pictures: Posteriors

    def context(self, prompt: str, settings: Settings, shape: tuple[int, ...]) -> Context:
        """What the UNet is told: B rows for each of its views, with the prompt or the negative prompt.

        ``shape`` is that of one picture's latents, (1, C, h, w).
        """
        package = self.networks.package
        tiling, cell = self.networks.tiling("unet"), package.pixels_per_latent
        height, width = shape[2:] if tiling is None else tiling.seen(*shape[2:])
        told = sizes.told(package.size_conditions, settings, (width * cell, height * cell)) or (None, None)

        def seen(view: View) -> tuple[Text, Array | None]:
            if view.prompt:
                return self._text(prompt), told[0]
            none = package.unprompted(settings)
            return self._text(prompt).nothing() if none else self._text(settings.negative_prompt), told[1]

        return Context.of([seen(view) for view in GUIDED[package.guidance].seen(settings)], len(settings.seeds))

    def posterior(self, pixels: Array) -> Posterior:
        """The VAE's posterior of pixels (1, 3, H, W) in [-1, 1]."""
        key = (self.networks.encoder, *pixels.shape, sha256(pixels.tobytes()).digest())
        return self.pictures.get(key, lambda: self.networks.encode_image(pixels))

    def _text(self, text: str) -> Text:
        def make() -> Text:
            return self.networks.encode_text([tokenizer([text]) for tokenizer in self.tokenizers])

        return self.texts.get(text, make)
