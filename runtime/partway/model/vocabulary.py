"""CLIP's own vocabulary, for models that come without a tokenizer: all that partway runs were trained with it."""

from functools import cache
from pathlib import Path

from partway.graphs import TOKENIZERS
from partway.model.package import Package
from partway.model.tokens import ALPHABET, BEGIN, END, LENGTH, Tokenizer, load_tokenizer

_MERGES = Path(__file__).with_name("clip") / "merges.txt.gz"


@cache
def pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token numbers by spelling, and the pairs that are joined, those that come first first."""
    import gzip  # only here, for most models come with their own

    lines = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    words = [
        *ALPHABET,
        *(letter + "</w>" for letter in ALPHABET),
        *(left + right for left, right in merges),
        BEGIN,
        END,
    ]
    return {word: number for number, word in enumerate(words)}, merges


def tokenizers(package: Package) -> tuple[Tokenizer, ...]:
    """The tokenizer of each text encoder: of a folder its own, and CLIP's for a model that is one file.

    Raises `PackageError` if a folder's is missing or broken.
    """
    names = package.text_encoders
    if not package.root.is_file():
        return tuple(load_tokenizer(package.root / TOKENIZERS[name]) for name in names)
    return tuple(clip_tokenizer(padding(package, name)) for name in names)


def padding(package: Package, text_encoder: str) -> str:
    """The token that a text encoder of a model in one file was shown behind the end of a text."""
    second = package.config("unet").get("use_linear_projection") and not package.size_conditions
    return "!" if second or text_encoder == "text_encoder_2" else END


def clip_tokenizer(padding: str = END) -> Tokenizer:
    """The tokenizer with this vocabulary; Stable Diffusion 1 pads with the end token, 2 and SDXL's second with "!"."""
    from tokenizers.models import BPE

    words, merges = pairs()
    model = BPE(words, merges, unk_token=END, end_of_word_suffix="</w>")
    added = {token: words[token] for token in dict.fromkeys((BEGIN, END, padding))}
    return Tokenizer(model, added, words[BEGIN], words[END], words[padding], LENGTH)
