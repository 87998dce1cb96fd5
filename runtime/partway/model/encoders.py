"""Encodes prompts and pictures for the UNet, and remembers the latest ones."""

from dataclasses import dataclass
from hashlib import sha256

from partway.diffusion.sampling import Array
from partway.model import sizes
from partway.model.networks import Conditioning, Networks, Posterior, Text
from partway.model.tokens import Tokenizer
from partway.model.views import GUIDED, View
from partway.settings import Settings
from partway.support.caching import Recent

Texts = Recent[str, Text]
Posteriors = Recent[tuple[str | int | bytes, ...], Posterior]


@dataclass(frozen=True)
class Encoders:
    """The encoders of a run, and the embeddings and posteriors that earlier runs made."""

    networks: Networks
    tokenizers: tuple[Tokenizer, ...]
    texts: Texts
    pictures: Posteriors

    def conditioning(self, prompt: str, settings: Settings, shape: tuple[int, ...]) -> Conditioning:
        """The UNet's conditioning for B pictures and each view, with the prompt or the negative prompt.

        ``shape``: of one picture's latents, (1, C, h, w). The result has a batch of B times the number of views.
        """
        package = self.networks.package
        tiling = self.networks.tiling("unet")
        height, width = shape[2:] if tiling is None else tiling.seen(*shape[2:])
        seen = (width * package.vae_scale_factor, height * package.vae_scale_factor)
        time_ids, negative_time_ids = sizes.time_ids(package.size_conditions, settings, seen) or (None, None)

        def of(view: View) -> tuple[Text, Array | None]:
            if view.prompt:
                return self._text(prompt), time_ids
            zeros = package.unprompted(settings)
            return self._text(prompt).zeros() if zeros else self._text(settings.negative_prompt), negative_time_ids

        return Conditioning.of([of(view) for view in GUIDED[package.guidance].seen(settings)], len(settings.seeds))

    def posterior(self, pixels: Array) -> Posterior:
        """The VAE's posterior of pixels (1, 3, H, W) in [-1, 1]."""
        key = (self.networks.encoder, *pixels.shape, sha256(pixels.tobytes()).digest())
        return self.pictures.get(key, lambda: self.networks.encode_image(pixels))

    def _text(self, text: str) -> Text:
        def make() -> Text:
            return self.networks.encode_text([tokenizer([text]) for tokenizer in self.tokenizers])

        return self.texts.get(text, make)
