"""Conditioning of the UNet: texts and pictures, each encoded once for as long as it is remembered."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from partway.diffusion.sampling import Array
from partway.engines.token_vectors import Vectors
from partway.model import sizes
from partway.model.conditions import Condition, GuidanceMode
from partway.model.inversions import Inversion
from partway.model.networks import Conditioning, Networks, Posterior
from partway.model.texts import Encode, Encoded, TextEmbeddings, alike, embedded
from partway.model.tokens import Tokenizer
from partway.model.words import Items, Text, Words, items_of
from partway.prompts.pieces import Chunk, Vector
from partway.settings import Settings
from partway.support.caching import Recent

Texts = Recent[Hashable, Encoded]
Posteriors = Recent[tuple[str | int | bytes, ...], Posterior]


class Conditionings(NamedTuple):
    """The conditioning of each step: ``each`` different one, and which of them a step has."""

    each: tuple[Conditioning, ...]
    steps: tuple[int, ...]

    def at(self, step: int) -> Conditioning:
        """That of a step, from 0; beyond the last, the last one's."""
        return self.each[self.steps[min(step, len(self.steps) - 1)]]


@dataclass(frozen=True)
class Encoders:
    """The encoders of a run, and the outputs of theirs that earlier runs have left.

    inversions  the embeddings (textual inversions) that texts may name; none where the text encoders take no vectors
    text_key    a cache key of the text encoders' adapters
    """

    networks: Networks
    tokenizers: tuple[Tokenizer, ...]
    texts: Texts
    pictures: Posteriors
    inversions: Mapping[str, Inversion] = field(default_factory=dict)
    text_key: str = ""

    def conditioning(
        self, words: Words, mode: GuidanceMode, settings: Settings, shape: tuple[int, ...]
    ) -> Conditionings:
        """Conditioning of every prediction that the run needs in turn, the prompt's last: one row for each picture.

        ``shape`` is that of one picture's latents, (1, C, h, w).
        """
        package, factor = self.networks.package, self.networks.package.vae_scale_factor
        height, width = self.networks.tilings.unet.input_size(*shape[2:])
        time_ids = sizes.time_ids(package.size_conditions, settings, (width * factor, height * factor))
        positive, negative = time_ids or (None, None)
        encoders = self._encoders(words)

        def made(step: int) -> Conditioning:
            texts = [self._text(words, condition, step, encoders) for condition in mode.needed(settings)]
            empty = partial(self._embeddings, words, Text(""), encoders)
            known = iter(alike([text for text in texts if text is not None], empty, settings.prompt_syntax))
            ready = [None if text is None else next(known) for text in texts]
            zeros = next(text for text in reversed(ready) if text is not None).zeros()
            told = [positive if condition.prompt else negative for condition in mode.needed(settings)]
            parts = [(zeros if text is None else text, ids) for text, ids in zip(ready, told, strict=True)]
            return Conditioning.of(parts, len(settings.seeds))

        said = [words.at(step) for step in range(words.steps)]
        order = {texts: number for number, texts in enumerate(dict.fromkeys(said))}
        firsts = [said.index(texts) for texts in order]
        return Conditionings(tuple(map(made, firsts)), tuple(order[texts] for texts in said))

    def posterior(self, pixels: Array) -> Posterior:
        """The VAE's posterior of pixels (1, 3, H, W) in [-1, 1]."""
        key = (self.networks.encoder, *pixels.shape, sha256(pixels.tobytes()).digest())
        return self.pictures.get(key, lambda: self.networks.encode_image(pixels))

    def _text(self, words: Words, condition: Condition, step: int, encoders: Sequence[Encode]) -> TextEmbeddings | None:
        """The embeddings of what a prediction is conditioned on at a step; None for zeros."""
        given = words.given
        if given is not None and condition.prompt:
            return TextEmbeddings(given.prompt_embeds, given.pooled_prompt_embeds)
        if given is not None and given.negative_prompt_embeds is not None:
            return TextEmbeddings(given.negative_prompt_embeds, given.negative_pooled_prompt_embeds)
        if condition.prompt:
            return self._embeddings(words, words.prompts[condition.joined][step], encoders)
        return self._embeddings(words, words.negative[step], encoders) if words.negative else None

    def _embeddings(self, words: Words, text: Text, encoders: Sequence[Encode]) -> TextEmbeddings:
        pooled = bool(self.networks.package.size_conditions)
        count = len(encoders) if pooled else 1  # only SDXL reads two
        readings = [words.reading(text, index, tokenizer) for index, tokenizer in enumerate(self.tokenizers[:count])]
        return embedded(readings, encoders[:count], words.settings.prompt_syntax, pooled=pooled)

    def _encoders(self, words: Words) -> list[Encode]:
        """The text encoders as functions of chunks; all that the run needs are encoded here, in turn."""
        pooled = bool(self.networks.package.size_conditions)
        each = enumerate(words.chunks(self.tokenizers, pooled=pooled))
        made = [
            {items: self._encoded(index, items, words.settings.layers_skipped) for items in some}
            for index, some in each
        ]
        return [partial(_known, known) for known in made]

    def _encoded(self, index: int, items: Items, skip: int) -> Encoded:
        """A chunk as a text encoder gives it, whatever its tokens weigh."""
        network, tokenizer = self.networks.package.text_encoders[index], self.tokenizers[index]
        ids = tokenizer.framed([item if isinstance(item, int) else 0 for item in items])
        named = {place: item for place, item in enumerate(items, 1) if isinstance(item, Vector)}
        vectors = self._vectors(named, index, len(ids)) if self.inversions else None
        told = tuple((place, self.inversions[item.name].digest, item.number) for place, item in named.items())
        key = (self.text_key, network, skip, tuple(ids), told)
        return self.texts.get(key, lambda: self.networks.encode_chunk(network, ids, skip, vectors))

    def _vectors(self, named: Mapping[int, Vector], index: int, length: int) -> Vectors:
        """The vectors at their places among so many tokens."""
        width = next(iter(self.inversions.values())).vectors[index].shape[1]
        given, vectors = np.zeros(length, np.bool_), np.zeros((length, width), np.float32)
        for place, item in named.items():
            given[place], vectors[place] = True, self.inversions[item.name].vectors[index][item.number]
        return Vectors(given, vectors)


def _known(made: Mapping[Items, Encoded], chunk: Chunk) -> Encoded:
    return made[items_of(chunk)]
