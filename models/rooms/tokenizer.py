"""Trains a CLIP-style tokenizer on captions: python -m models.rooms.tokenizer --run DIR.

Byte-level BPE with end-of-word marks, written as CLIP's `vocab.json` and `merges.txt`: any text has tokens, the words
of the captions have one or two.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from partway_rooms.renderer import caption_of, dress, sample_layout, sample_look

from .networks import TOKENS

MERGES = 1000
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def captions(seed: int, variants: int) -> list[str]:
    """What can be said of the picture of a number; nothing is drawn."""
    layout, look = sample_layout(seed), sample_look(seed)
    names = dress(look).names
    return [caption_of(layout, look, names, variant) for variant in range(variants)]


def learn_merges(texts: Iterator[str], count: int) -> list[tuple[str, str]]:
    """The most useful merges of byte pairs in the texts."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=10_000, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]][:count]


def write_tokenizer(folder: Path, merges: list[tuple[str, str]]) -> CLIPTokenizer:
    """Writes the files of a CLIPTokenizer: bytes, bytes that end a word, merges, start and end."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = [*alphabet, *(c + "</w>" for c in alphabet), *dict.fromkeys(a + b for a, b in merges)]
    vocabulary = {token: index for index, token in enumerate([*dict.fromkeys(known), START, END])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token=END, bos_token=START, eos_token=END,
        pad_token=END, model_max_length=TOKENS,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return tokenizer


def main() -> None:
    """Trains on the captions of the first rooms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("build/rooms"))
    parser.add_argument("--rooms", type=int, default=20_000)
    args = parser.parse_args()
    texts = (text for seed in range(args.rooms) for text in captions(seed, 2))
    tokenizer = write_tokenizer(args.run / "tokenizer", learn_merges(texts, MERGES))
    lengths = [len(tokenizer(text).input_ids) for seed in range(500) for text in captions(10_000_000 + seed, 1)]
    print(f"{len(tokenizer)} tokens; captions take {sum(lengths) / 500:.1f} of {TOKENS}, at most {max(lengths)}")


if __name__ == "__main__":
    main()
