"""Conditioning of the UNet: texts and pictures, each encoded once for as long as it is remembered."""

from dataclasses import dataclass
from hashlib import sha256

from partway.diffusion.sampling import Array
from partway.model import sizes
from partway.model.conditions import GUIDED, Condition
from partway.model.networks import Conditioning, Networks, Posterior, TextEmbeddings
from partway.model.tokens import Tokenizer
from partway.settings import Settings
from partway.support.caching import Recent

Texts = Recent[tuple[str, str], TextEmbeddings]
Posteriors = Recent[tuple[str | int | bytes, ...], Posterior]


@dataclass(frozen=True)
class Encoders:
    """The encoders of a run, and the outputs of theirs that earlier runs have left.

    voice: text that tells adapters of the text encoders apart
    """

    networks: Networks
    tokenizers: tuple[Tokenizer, ...]
    texts: Texts
    pictures: Posteriors
    voice: str = ""

    def conditioning(self, prompt: str, settings: Settings, shape: tuple[int, ...]) -> Conditioning:
        """Conditioning of every prediction that the run needs in turn, the prompt's last: one row for each picture.

        ``shape`` is that of one picture's latents, (1, C, h, w).
        """
        package, factor = self.networks.package, self.networks.package.vae_scale_factor
        height, width = self.networks.tilings.unet.input_size(*shape[2:])
        time_ids = sizes.time_ids(package.size_conditions, settings, (width * factor, height * factor))
        positive, negative = time_ids or (None, None)

        def part(condition: Condition) -> tuple[TextEmbeddings, Array | None]:
            if condition.prompt:
                return self._text(prompt), positive
            if package.unprompted(settings):
                return self._text(prompt).zeros(), negative
            return self._text(settings.negative_prompt), negative

        parts = [part(condition) for condition in GUIDED[package.guidance].needed(settings)]
        return Conditioning.of(parts, len(settings.seeds))

    def posterior(self, pixels: Array) -> Posterior:
        """The VAE's posterior of pixels (1, 3, H, W) in [-1, 1]."""
        key = (self.networks.encoder, *pixels.shape, sha256(pixels.tobytes()).digest())
        return self.pictures.get(key, lambda: self.networks.encode_image(pixels))

    def _text(self, text: str) -> TextEmbeddings:
        def make() -> TextEmbeddings:
            return self.networks.encode_text([tokenizer([text]) for tokenizer in self.tokenizers])

        return self.texts.get((self.voice, text), make)
