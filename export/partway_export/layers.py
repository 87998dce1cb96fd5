"""Which layers of a network bear fewer bits badly, by their names."""

import re
from collections.abc import Iterable

# Of the names that layers have in either format: "up_blocks.2.resnets.1.conv1/Conv", in OpenVINO with more behind it;
# torch's tracing gives "/up_blocks.2/resnets.1/conv1/Conv" and "__module.up_blocks.2.resnets.1.conv1/...".
_EDGES = re.compile(r"(^|[/.])(conv_in|conv_out|time_emb\w*|add_embedding)[/.]")
_UP = re.compile(r"(?:^|[/.])up_blocks\.(\d+)[/.]resnets\.")


def in_float(names: Iterable[str]) -> list[str]:
    """Return, of a UNet's layers, those that have to stay in float.

    They are the first and the last convolution, what the timestep goes through, and the residual blocks of the last
    level up. These last see fine noise beside large smooth values, and at low noise levels the noise is what they have
    to return: of the built-in model's 48 inner convolutions, the six with the largest error, each quantised alone,
    are theirs (24 to 47 dB at timesteps below 300; the others 51 to 109 dB).
    """
    names = list(names)
    last = max((int(match[1]) for name in names if (match := _UP.search(name))), default=None)
    kept = []
    for name in names:
        level = _UP.search(name)
        if _EDGES.search(name) or (level and int(level[1]) == last):
            kept.append(name)
    return kept
