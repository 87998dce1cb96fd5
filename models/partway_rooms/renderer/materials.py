"""Every texture by name."""

from .fabrics import FABRICS
from .floors import FLOORS
from .patterns import PATTERNS
from .textures import Texture
from .walls import WALLS

TEXTURES: dict[str, Texture] = {**FLOORS, **WALLS, **FABRICS, **PATTERNS}
