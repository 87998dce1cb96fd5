"""Lights as a table: what comes through the window, what the lamps give, how bright the picture is."""

from typing import NamedTuple

Colour = tuple[float, float, float]  # linear RGB


class Light(NamedTuple):
    """One kind of light. Strengths are relative; the exposure is set from the light that falls in the room."""

    name: str
    words: tuple[str, ...]
    ambient: Colour
    window: Colour
    sun: Colour  # through the window, as a patch; (0, 0, 0) for none
    height: float  # of the sun or moon above the horizon, radians
    lamp: Colour  # each lamp; (0, 0, 0) when they are off
    strips: tuple[Colour, Colour]  # coloured tubes along the left and the right wall, under the ceiling
    sky: tuple[Colour, Colour]  # at the horizon, above
    land: Colour
    exposure: float  # mean irradiance the picture is exposed to
    scene: str  # what stands outside: hills, stars, city
    tint: Colour = (1.0, 1.0, 1.0)


NONE = (0.0, 0.0, 0.0)
DARK = (NONE, NONE)
LIGHTS: dict[str, Light] = {
    "daylight": Light(
        "daylight", ("bright daylight", "sunny daylight", "bright morning light", "clear daylight", "sunlight"),
        ambient=(0.24, 0.26, 0.29), window=(2.6, 2.7, 2.9), sun=(2.6, 2.4, 2.0), height=0.75, lamp=NONE, strips=DARK,
        sky=((0.75, 0.87, 1.0), (0.30, 0.56, 0.95)), land=(0.20, 0.36, 0.13), exposure=0.74, scene="hills",
    ),
    "overcast": Light(
        "overcast", ("overcast light", "soft grey light", "a cloudy day", "rainy day light", "flat overcast light"),
        ambient=(0.27, 0.31, 0.35), window=(1.2, 1.38, 1.5), sun=NONE, height=0.8, lamp=NONE, strips=DARK,
        sky=((0.62, 0.67, 0.72), (0.48, 0.54, 0.60)), land=(0.15, 0.20, 0.17), exposure=0.46, scene="hills",
        tint=(0.93, 1.0, 1.06),
    ),
    "golden hour": Light(
        "golden hour", ("golden hour", "sunset light", "golden evening sun", "low golden sunlight", "a golden sunset"),
        ambient=(0.30, 0.20, 0.14), window=(2.2, 1.25, 0.55), sun=(6.0, 2.7, 0.75), height=0.33, lamp=NONE, strips=DARK,
        sky=((1.0, 0.52, 0.16), (0.62, 0.36, 0.42)), land=(0.12, 0.06, 0.04), exposure=0.62, scene="hills",
        tint=(1.08, 0.98, 0.82),
    ),
    "evening": Light(
        "evening", ("warm lamp light", "warm evening lamps", "cosy lamplight", "warm light", "evening lamplight"),
        ambient=(0.10, 0.073, 0.053), window=(0.05, 0.07, 0.16), sun=NONE, height=0.5, lamp=(1.75, 1.0, 0.42),
        strips=DARK, sky=((0.10, 0.12, 0.26), (0.02, 0.03, 0.10)), land=(0.01, 0.012, 0.02), exposure=0.44,
        scene="stars", tint=(1.06, 1.0, 0.88),
    ),
    "moonlight": Light(
        "moonlight", ("moonlight", "blue moonlight", "night", "a moonlit night", "dark blue night"),
        ambient=(0.075, 0.11, 0.20),
        window=(0.36, 0.56, 1.05), sun=(0.9, 1.4, 2.5), height=0.62, lamp=NONE, strips=DARK,
        sky=((0.07, 0.13, 0.34), (0.01, 0.03, 0.13)), land=(0.005, 0.01, 0.03), exposure=0.2, scene="stars",
        tint=(0.76, 0.95, 1.22),
    ),
    "neon": Light(
        "neon", ("neon light", "neon lights", "pink and cyan neon", "cyberpunk neon glow", "neon glow"),
        ambient=(0.10, 0.05, 0.15), window=(0.25, 0.12, 0.45), sun=NONE, height=0.5, lamp=NONE,
        strips=((2.6, 0.12, 1.5), (0.08, 1.35, 2.3)), sky=((0.30, 0.05, 0.32), (0.03, 0.01, 0.10)),
        land=(0.035, 0.015, 0.07), exposure=0.40, scene="city",
    ),
}  # fmt: skip
