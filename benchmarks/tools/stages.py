"""How long the networks of a pipeline of diffusers' kind run: the seconds and calls of each, by partway's names."""

from collections.abc import Callable
from time import perf_counter
from typing import Any


class Stages:
    """Stands around the four places where such a pipeline runs its networks, be they torch's or an engine's."""

    def __init__(self, pipe: Any) -> None:
        self.clear()
        pipe.text_encoder.forward = self._timed("text_encoder", pipe.text_encoder.forward)
        pipe.vae.encode = self._timed("vae_encoder", pipe.vae.encode)
        pipe.unet.forward = self._timed("unet", pipe.unet.forward)
        pipe.vae.decode = self._timed("vae_decoder", pipe.vae.decode)

    def clear(self) -> None:
        """Forget what was measured."""
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def _timed(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begun = perf_counter()
            result = run(*arguments, **named)
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - begun
            self.calls[name] = self.calls.get(name, 0) + 1
            return result

        return timed
