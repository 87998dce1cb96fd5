"""What lies on the Hugging Face Hub as people name it: ``owner/name``, a folder or file in it, or an address."""

import re
from typing import NamedTuple

from partway.errors import InputError, PackageError

_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com")
_WORD = r"[A-Za-z0-9_][\w.-]*"
# Patterns that `re` compiles, and keeps, when they are first used.
_NAMED = rf"({_WORD}/{_WORD})((?:/[\w. +()-]+)*)(?:@([\w./+-]+))?"
_ADDRESS = r"(?:(?:https?|hf)://)?([\w.-]+(?::\d+)?)/+([^?#]*)(?:[?#].*)?"
_WAY = r"(?:tree|blob|resolve|raw)/([^/]+)/?"


class Address(NamedTuple):
    """A repository on the Hub, ``inside`` it a folder or a file (empty for all of it), and a branch, tag or commit."""

    repository: str
    inside: str = ""
    revision: str | None = None

    def __str__(self) -> str:
        return "/".join(filter(None, (self.repository, self.inside)))

    @property
    def is_file(self) -> bool:
        """Whether it is that of a model's file."""
        return self.inside.lower().endswith((".safetensors", ".sft", ".gguf"))

    def pinned(self, revision: str | None) -> "Address":
        """The same at a revision; raises `InputError` where it names another one itself."""
        if revision is not None and self.revision not in (None, revision):
            raise InputError(f"{self} is asked for at {self.revision} and at {revision}; give one revision")
        return self._replace(revision=revision or self.revision)


def parse(name: str) -> Address | None:
    """What a name says; None for one that is none of the Hub's. Raises `PackageError` for an address of elsewhere."""
    found = re.fullmatch(_ADDRESS, name)
    if found and (found[1].lower() in _HOSTS or name.startswith(("https://", "http://"))):
        if found[1].lower() not in _HOSTS:
            raise PackageError(
                f"{name} is an address, and partway fetches from the Hugging Face Hub alone; download the model, and "
                "give its folder or file"
            )
        owner, _, rest = found[2].strip("/").partition("/")
        own, _, rest = rest.partition("/")
        way = re.match(_WAY, f"{rest}/")
        revision, rest = (way[1], rest[way.end() :]) if way else (None, rest)
        name = "/".join(filter(None, (owner, own, rest))) + (f"@{revision}" if revision else "")
        if owner in ("datasets", "spaces") or not re.fullmatch(_NAMED, name, re.ASCII):
            raise PackageError(f"{found[0]} is no address of a model; it begins with https://huggingface.co/OWNER/NAME")
    named = re.fullmatch(_NAMED, name.removeprefix("hf://").rstrip("/"), re.ASCII)
    if named is None or ".." in name:
        return None
    return Address(named[1], named[2].strip("/"), named[3])
