"""What prompts may name: adapters and embeddings, in the folders that whoever starts the server gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway.adapters.folders import embeddings_in, gathered
from partway.errors import InputError
from partway.loras import in_prompt
from partway.serve.refusals import invalid

_TEXTS = ("negative_prompt", "prompt_2", "negative_prompt_2")


@dataclass(frozen=True)
class Shelf:
    """Folders, of which clients learn names and nothing else. Raises `InputError` for one that is not there.

    lora_dir       of adapters, which prompts name as ``<lora:film:0.8>``
    embedding_dir  of embeddings, which texts name
    """

    lora_dir: str | None = None
    embedding_dir: str | None = None

    def __post_init__(self) -> None:
        for folder in (self.lora_dir, self.embedding_dir):
            if folder is not None and not Path(folder).is_dir():
                raise InputError(f"there is no folder {folder}")

    @property
    def loras(self) -> dict[str, Path]:
        """Files of adapters, by name; of one name the first."""
        files = [] if self.lora_dir is None else sorted(Path(self.lora_dir).rglob("*.safetensors"))
        found: dict[str, Path] = {}
        for file in files:
            found.setdefault(file.stem, file)
        return found

    @property
    def embeddings(self) -> dict[str, Path]:
        """Files of embeddings, by name."""
        files = {} if self.embedding_dir is None else embeddings_in(self.embedding_dir)
        return {file.stem: file for file in files.values()}

    def taken(self, prompt: str, settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """A prompt without the adapters that it names, and settings with these and the embeddings that texts name.

        Raises `Refusal` for an adapter that is not here.
        """
        named = dict(settings)
        if self.lora_dir is not None:
            try:
                prompt, loras = in_prompt(prompt, self.lora_dir)
            except InputError:
                there = ", ".join(self.loras) or "none"
                raise invalid(f"the prompt names a LoRA that is not here; there are: {there}", "prompt") from None
            named |= {"loras": loras} if loras else {}
        texts = [prompt, *(str(settings.get(name) or "") for name in _TEXTS)]
        embeddings = gathered((), self.embedding_dir, texts)
        return prompt, named | ({"embeddings": embeddings} if embeddings else {})
