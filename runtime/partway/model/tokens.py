"""Prompt to token ids: CLIP's byte-pair encoding, from the files of a model's own tokenizer folder.

Prompts are cut to the positions of the text encoder, 77 with CLIP's.

The ids equal those of transformers' CLIPTokenizer, which Stable Diffusion's folders name and diffusers loads, without
the package ftfy. Where ftfy is installed, CLIPTokenizer also repairs broken encodings and HTML; diffusers does not
require it. CLIPTokenizerFast gives other ids: it keeps control characters, and does not separate Chinese ones.

    text -> parts (added tokens cut out) -> clean -> words -> bytes -> byte pairs -> ids
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category, normalize

import numpy as np
from numpy.typing import NDArray

from partway.errors import PackageError, is_integer
from partway.prompts.pieces import Vocabulary
from partway.support.files import impostor

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer
    from tokenizers.models import BPE

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_MOST = 10_000_000  # tokens
LENGTH = 77  # positions of CLIP's text encoders, where the folder does not say


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer that `load_tokenizer` has read; call it with texts."""

    pairs: "BPE"  # splits a word into byte pairs
    added: Mapping[str, int]  # strings that are one token wherever they stand, in exactly this spelling
    begin: int
    end: int
    padding: int
    length: int

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return ids (len(texts), length): begin, the text cut to fit, end, then padding."""
        batch = np.full((len(texts), self.length), self.padding, np.int64)
        for ids, text in zip(batch, texts, strict=True):
            ids[:] = self.framed(self.ids(text)[: self.length - 2])
        return batch

    def framed(self, ids: Sequence[int]) -> list[int]:
        """A text encoder's input: begin, at most ``length`` - 2 tokens, end, then padding."""
        found = [self.begin, *ids, self.end]
        return found + [self.padding] * (self.length - len(found))

    def vocabulary(self, vectors: Mapping[str, int]) -> Vocabulary:
        """What prompts are cut into chunks with; ``vectors`` is how many each embedding has, by its name."""
        return Vocabulary(self.ids, self._spelled, vectors, self.length - 2)

    def truncated(self, text: str) -> str:
        """Return the end of the text that is cut off, in the tokens' spelling; empty if none is."""
        return self.text(self.ids(text)[self.length - 2 :])

    def text(self, ids: Sequence[int]) -> str:
        """What the tokens spell."""
        spelling = b"".join(self._bytes(number) for number in ids)
        return spelling.decode("utf-8", errors="replace").replace("</w>", " ").strip()

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without begin and end."""
        ids: list[int] = []
        longest_first = sorted(self.added, key=len, reverse=True)
        for part in re.split(f"({'|'.join(map(re.escape, longest_first))})", text):
            if part in self.added:
                ids.append(self.added[part])
            else:
                ids.extend(number for word in _words(_clean(part)) for number in self._word_ids(word))
        return ids

    def _word_ids(self, word: str) -> list[int]:
        if word in (BEGIN, END) and word in self.added:  # it was in capitals before cleaning
            return [self.added[word]]
        letters = word.encode("utf-8").decode("latin-1").translate(_LETTERS)
        return [token.id for token in self.pairs.tokenize(letters)]

    def _spelled(self, number: int) -> str:
        return str(self.pairs.id_to_token(number))

    def _bytes(self, number: int) -> bytes:
        for content, added in self.added.items():
            if added == number:
                return content.encode("utf-8")
        return self._spelled(number).translate(_BYTES).encode("latin-1")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a tokenizer folder: tokenizer.json, or vocab.json and merges.txt, and the settings beside them.

    From tokenizer.json it takes only the vocabulary, because the rules there are CLIPTokenizerFast's. The folder sets
    padding token and length (Stable Diffusion 1 pads with the end token, 2 with "!").
    Raises `PackageError` if a file is missing or broken.
    """
    settings = _read_json(folder / "tokenizer_config.json")
    stored = settings.get("added_tokens_decoder")
    if not isinstance(stored, dict | None):
        raise PackageError(f"added_tokens_decoder in {folder} is no record of tokens; fetch the tokenizer again")
    if stored is None:  # before transformers 4.34 special tokens were kept in a file of their own
        settings |= _read_json(folder / "special_tokens_map.json")
    begin, end, unknown, padding = (
        _content(settings.get(f"{name}_token") or default) or default
        for name, default in (("bos", BEGIN), ("eos", END), ("unk", END), ("pad", END))
    )
    vocabulary = _read_vocabulary(folder, unknown)

    if stored is not None:
        added = {_content(token): number for number, token in stored.items()}
    else:
        added = _read_json(folder / "added_tokens.json")
        added |= {token.content: number for number, token in vocabulary.get_added_tokens_decoder().items()}
    pairs, size = vocabulary.model, vocabulary.get_vocab_size(with_added_tokens=False)
    added = {token: _number(number, _MOST, folder) for token, number in added.items() if token}
    listed = settings.get("additional_special_tokens") or []
    if not isinstance(listed, list):
        raise PackageError(f"additional_special_tokens in {folder} is no list; fetch the tokenizer again")
    others = filter(None, map(_content, listed))
    for token in (begin, end, unknown, padding, *others):
        if token not in added:
            known = pairs.token_to_id(token)
            next_id = size + sum(pairs.token_to_id(other) is None for other in added)
            added[token] = next_id if known is None else known
    limit = size + len(added)
    if any(added[token] >= limit for token in (begin, end, padding)):  # a vocabulary may lack some numbers
        limit += max(vocabulary.get_vocab(with_added_tokens=False).values(), default=0)
    for token in (begin, end, padding):  # which stand in every prompt
        _number(added[token], limit, folder)

    length = settings.get("model_max_length")
    if not isinstance(length, int) or not 2 < length < 1e20:  # transformers writes 1e30 for "not set"
        length = LENGTH
    return Tokenizer(pairs, added, added[begin], added[end], added[padding], length)


def _read_vocabulary(folder: Path, unknown: str) -> "FastTokenizer":
    import tokenizers
    from tokenizers.models import BPE

    combined, words, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    if not combined.exists() and not (words.exists() and merges.exists()):
        raise PackageError(
            f"{folder} lacks tokenizer.json, or vocab.json and merges.txt; fetch the model's tokenizer again"
        )
    try:
        if combined.exists():
            vocabulary = tokenizers.Tokenizer.from_file(str(combined))
        else:
            pairs = BPE.from_file(str(words), str(merges), unk_token=unknown, end_of_word_suffix="</w>")
            vocabulary = tokenizers.Tokenizer(pairs)
    except Exception as error:  # tokenizers raises nothing more special
        for file in (combined, words, merges):
            if what := impostor(file):
                raise PackageError(f"{file} {what}") from error
        raise PackageError(f"the tokenizer in {folder} is broken ({error}); fetch its files again") from error
    if not isinstance(vocabulary.model, BPE) or vocabulary.model.end_of_word_suffix != "</w>":
        raise PackageError(f"the tokenizer in {folder} is not CLIP's; use a Stable Diffusion model")
    if vocabulary.model.token_to_id(unknown) is None:
        raise PackageError(f"the vocabulary in {folder} lacks {unknown!r}; fetch the model's tokenizer again")
    return vocabulary


def _read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, or an empty one if there is no such file."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(text)
        if "\\ud" in text.lower():  # half a character, which is no text
            json.dumps(record, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as error:
        raise PackageError(f"{path} {impostor(path) or f'cannot be read ({error}); fetch it again'}") from error
    if not isinstance(record, dict):
        raise PackageError(f"{path} holds no JSON object; fetch it again")
    return record


def _number(value: Any, limit: int, folder: Path) -> int:
    """Return a token's number, which files hold as text or as a number."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:12])
    if not is_integer(value, 0, limit - 1):
        raise PackageError(f"the tokenizer in {folder} numbers a token {value!r}, which is none; fetch its files again")
    return int(value)


def _content(token: Any) -> str:
    """Return a special token's text; files hold it bare or in a record."""
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise PackageError(f"special token {token!r} has no text; fetch the model's tokenizer again")
    return text


# The vocabularies of GPT-2 and CLIP spell a byte that is visible in Latin-1 as itself, and others as letters from
# U+0100 on.
_HIDDEN = [*range(0x21), *range(0x7F, 0xA1), 0xAD]
_LETTERS = {byte: 0x100 + place for place, byte in enumerate(_HIDDEN)}
_BYTES = {letter: byte for byte, letter in _LETTERS.items()}
ALPHABET = (*(chr(byte) for byte in range(256) if byte not in _LETTERS), *map(chr, _LETTERS.values()))
"""The letters of all bytes, in the order of these vocabularies."""

# Patterns that are compiled, and kept, by `re` when they are first used: that takes longer than all of this module.
_HAN = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f]"
_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^ a-z0-9]+"


def _clean(text: str) -> str:
    """Drop control characters, separate Chinese ones, compose accents, leave single spaces, lower-case."""
    visible = "".join(map(_visible, text))
    return " ".join(normalize("NFC", re.sub(_HAN, r" \g<0> ", visible)).split()).lower()


def _visible(char: str) -> str:
    """Return a space for white space, nothing for a control character, any other as it is."""
    kind = category(char)
    if kind == "Zs" or char in "\t\n\r":
        return " "
    return "" if kind[0] == "C" or char == "\N{REPLACEMENT CHARACTER}" else char


def _words(text: str) -> Iterator[str]:
    """Yield contractions' endings, runs of letters, single digits, and runs of anything else but spaces."""
    # `re` has no classes for Unicode's letters and numbers, so it matches an outline of the text in ASCII.
    outline = "".join(char if char.isascii() else _outline(char) for char in text)
    return (text[match.start() : match.end()] for match in re.finditer(_WORD, outline, re.ASCII))


def _outline(char: str) -> str:
    """Return a letter for a letter, a digit for a number, a mark for the rest."""
    # CLIPTokenizer ignores case here: the long s is an s, and the iota subscript, a mark that has a letter
    # for its capital, is neither mark nor letter and gets lost.
    exceptions = {"\N{LATIN SMALL LETTER LONG S}": "s", "\N{COMBINING GREEK YPOGEGRAMMENI}": " "}
    return exceptions.get(char) or {"L": "z", "N": "0"}.get(category(char)[0], "!")
