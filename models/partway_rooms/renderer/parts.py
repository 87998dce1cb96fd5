"""A layout as solids in the room."""

import numpy as np

from .furniture import BUILD
from .geometry import Part, rotation_y
from .pieces import solid
from .placing import FACING, Layout, on_wall


def window_parts(layout: Layout) -> list[Part]:
    """Pane, frame, bars, sill, rail and curtains of the window."""
    room, window = layout.room, layout.window
    w, h, thin = window.width, window.height, 0.05
    local = [solid("box", (0, h / 2, -0.005), (w, h, 0.01), "outside", "window")]
    local += [solid("box", (s * w / 2, h / 2, -0.03), (thin, h + thin, 0.06), "trim", "window") for s in (-1, 1)]
    local += [solid("box", (0, y, -0.03), (w + thin, thin, 0.06), "trim", "window") for y in (0, h)]
    across, up = window.panes
    local += [solid("box", (w * (i / across - 0.5), h / 2, -0.02), (0.03, h, 0.04), "trim", "window")
              for i in range(1, across)]  # fmt: skip
    local += [solid("box", (0, h * i / up, -0.02), (w, 0.03, 0.04), "trim", "window") for i in range(1, up)]
    local.append(solid("box", (0, -0.04, -0.08), (w + 0.16, 0.035, 0.16), "trim", "window", blocks=True))
    if window.curtains:
        drop = window.sill + h + 0.12
        at = -window.sill + drop / 2 + 0.03
        for s in (-1, 1):
            local.append(solid("box", (s * (w / 2 + 0.14), at, -0.13), (0.36, drop, 0.07), "curtain", "curtain",
                               soft=0.03, blocks=True))  # fmt: skip
        rail = (w + 0.8, 0.03, 0.03)
        local.append(solid("box", (0, h + 0.14, -0.13), rail, "metal", "curtain"))
    x, z = on_wall(room, window.wall, window.along, 0)
    return [place_part(p, (x, window.sill, z), FACING[window.wall]) for p in local]


def place_part(part: Part, at: tuple[float, float, float], yaw: float) -> Part:
    """Moves a part from its item's axes to the room."""
    turn = rotation_y(yaw)
    x, y, z = turn @ np.array(part.centre, np.float32) + np.array(at, np.float32)
    return part._replace(centre=(float(x), float(y), float(z)), turn=turn @ part.turn)


def parts_of(layout: Layout) -> list[Part]:
    """Every solid of the room, in drawing order."""
    parts = window_parts(layout)
    for item in layout.items:
        built = BUILD[item.kind](item.size, np.random.default_rng([item.seed, 3]))
        parts += [place_part(p, item.at, item.yaw) for p in built]
    return parts


def kinds_in(layout: Layout) -> set[str]:
    """Names of the furniture in the layout."""
    extra = {"window"} | ({"curtain"} if layout.window.curtains else set())
    return {item.kind for item in layout.items} | extra
