"""What a run will do, said before it does anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from partway.diffusion.levels import NoiseLevel
from partway.graphs import CONTROLS, VAES
from partway.support.amounts import shown, shown_time
from partway.support.lines import shortened

_TUPLES = {1: "calls", 2: "pairs", 3: "triples"}


@dataclass(frozen=True)
class Plan:
    """The levels that run, what they cost, and how much of the picture is noise at the start.

    levels         the levels evaluated, noisiest first, and the one the run ends on; empty when nothing runs
    network_calls  UNet evaluations for one picture, whole or shallow, each tile's; a guidance pair counts as one
    guided_calls   how many of them make more than one prediction
    rows           predictions for one picture that each of the UNet's graphs makes in all its calls
    predictions    how many a guided call makes: 2 for a pair, 3 with an instruction, more where prompts are joined
    calls          calls of each network if each takes its whole batch at once
    noise_share    share of the start latents' variance that is noise, in [0, 1]
    reads_image    whether the source picture has any part in the result
    denoising_start, denoising_end  the shares of the noise levels between which the run stays, None for no limit
    unread         the end of "prompt" or "negative_prompt" that is too long for the model, which does not read it
    padded         width and height in pixels that networks see, where the picture is smaller; None where it is not
    peak_bytes     the most memory that the process is predicted to take, None where that is not known
    memory         what is done to keep it low
    seconds        about how long the run takes once its networks are loaded, None where that was not measured
    """

    dial: str
    strength: float
    steps: int
    sampler: str
    schedule: str
    levels: tuple[NoiseLevel, ...]
    network_calls: int
    guided_calls: int
    rows: dict[str, int]
    predictions: int
    calls: dict[str, int]
    noise_share: float
    reads_image: bool
    denoising_start: float | None = None
    denoising_end: float | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    padded: tuple[int, int] | None = None
    peak_bytes: int | None = None
    memory: str = ""
    seconds: float | None = None

    @property
    def start_sigma(self) -> float:
        """Sigma of the first level that is evaluated; 0 when nothing runs."""
        return self.levels[0].sigma if self.levels else 0.0

    @property
    def start_timestep(self) -> float:
        """Timestep of the first level that is evaluated; 0 when nothing runs."""
        return self.levels[0].timestep if self.levels else 0.0

    @property
    def steps_run(self) -> int:
        """How many sampler steps run."""
        return max(len(self.levels) - 1, 0)

    @property
    def vae(self) -> tuple[str, str]:
        """The networks that encode and decode."""
        return next(names for names in VAES.values() if self.calls.keys() >= set(names))

    def in_tiles(self, unet: int, encoder: int, decoder: int) -> "Plan":
        """The plan for a picture of so many tiles, which these networks are given one by one."""
        guides = [name for name in CONTROLS if name in self.calls]
        tiles = dict.fromkeys([*self.rows, *guides], unet) | dict(zip(self.vae, (encoder, decoder), strict=True))
        return replace(
            self,
            network_calls=self.network_calls * unet,
            guided_calls=self.guided_calls * unet,
            rows={name: count * unet for name, count in self.rows.items()},
            calls={name: count * tiles.get(name, 1) for name, count in self.calls.items()},
        )

    def followed(
        self,
        levels: tuple[NoiseLevel, ...],
        made: Mapping[str, Sequence[int]],
        control_calls: Mapping[str, int] = MappingProxyType({}),
        *,
        tiles: int,
    ) -> "Plan":
        """The plan as it went: ``levels`` whose steps were taken, and what was ``made`` of each of so many tiles.

        ``made`` and ``control_calls`` are those of `partway.run.evaluations.Evaluations`.
        """
        if levels == self.levels[:-1]:
            return self
        went = counted({**dict.fromkeys(self.rows, ()), **made})
        calls = self.calls | went.pop("calls") | control_calls
        return replace(self, levels=(*levels, self.levels[-1]), calls=calls, **went).in_tiles(tiles, 1, 1)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values."""
        return asdict(self) | {
            "levels": [level._asdict() for level in self.levels],
            "steps_run": self.steps_run,
            "start_sigma": self.start_sigma,
            "start_timestep": self.start_timestep,
        }

    def __str__(self) -> str:
        head = f"{self.sampler}, {self.schedule} schedule, {self.steps} steps, "
        if self.denoising_start is None:
            head += f"strength {self.strength:g} on the {self.dial} dial"
        else:
            head += f"going on at denoising_start {self.denoising_start:g}"
        if self.denoising_end is not None:
            head += f", to denoising_end {self.denoising_end:g}"
        if not self.levels:
            return f"{head}\nnothing runs: the picture is returned as it is"
        head += f"\nmemory: about {shown(self.peak_bytes)} at the peak; {self.memory}" if self.peak_bytes else ""
        head += f"\ntime: about {shown_time(self.seconds)}, once networks are loaded" if self.seconds else ""
        if self.padded:
            head += f"\nsize: padded to {self.padded[0]}x{self.padded[1]}, and cut back at the end"
        head += "".join(
            f"\nnot read: {shortened(text)}, the end of the {name.replace('_', ' ')}"
            for name, text in self.unread.items()
        )
        start = f"starts at sigma {self.start_sigma:.3f} (timestep {self.start_timestep:.1f})"
        share = f"noise is {100 * self.noise_share:.1f} % of the start"
        if not self.reads_image:
            share += ": the source picture plays no part"
        calls = ", ".join(f"{count} x {network}" for network, count in self.calls.items() if count)
        if 0 < self.guided_calls < self.network_calls or self.predictions > 2:
            calls += f" ({self.guided_calls} of them guidance {_TUPLES.get(self.predictions, 'groups')})"
        rows = [
            f"{index:>6}  {now.sigma:>9.4f}  {now.timestep:>8.2f}  ->  {to.sigma:.4f}"
            for index, (now, to) in enumerate(zip(self.levels, self.levels[1:], strict=False), 1)
        ]
        table = "\n".join([f"{'step':>6}  {'sigma':>9}  {'timestep':>8}  ->  sigma", *rows])
        return f"{head}\n{self.steps_run} steps run; {start}; {share}\ncalls: {calls}\n{table}"


def counted(made: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """The fields of a plan that sum up what evaluations ``made``; of its ``calls``, those of the UNet."""
    each = [predictions for some in made.values() for predictions in some]
    return {
        "network_calls": len(each),
        "guided_calls": sum(predictions > 1 for predictions in each),
        "rows": {name: sum(some) for name, some in made.items()},
        "calls": {name: len(some) for name, some in made.items()},
    }
