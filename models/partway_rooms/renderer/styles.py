"""Styles as tables: what each slot of a room is made of, in which colours."""

from typing import NamedTuple

Choice = tuple[str, str]  # colour's name in captions, sRGB hex


class Finish(NamedTuple):
    """A texture and the colours it may take; the rest of its colours follow from `extra`."""

    texture: str
    colours: tuple[Choice, ...]
    extra: tuple[str, ...] = ()
    gloss: float = 0.0
    repeat: float = 1.0  # size of the pattern, as a factor


class Style(NamedTuple):
    """One style: names it goes by in captions, adjectives, and a finish for each slot."""

    name: str
    words: tuple[str, ...]
    mood: tuple[str, ...]
    wall: Finish
    side: Finish
    floor: Finish
    wood: Finish
    sofa: Finish
    chair: Finish
    rug: Finish
    curtain: Finish
    accents: tuple[Choice, ...]
    metal: str
    trim: str
    ceiling: str = "#f2f0ec"
    shade: str = "#f3ead8"
    pot: str = "#c9b8a4"


def _finish(texture: str, colours: str, extra: str = "", gloss: float = 0.0, repeat: float = 1.0) -> Finish:
    """A finish from 'name #hex, name #hex' and '#hex #hex'."""
    pairs = [c.strip().rsplit(" ", 1) for c in colours.split(",")]
    return Finish(texture, tuple((name, value) for name, value in pairs), tuple(extra.split()), gloss, repeat)


def _accents(colours: str) -> tuple[Choice, ...]:
    return _finish("plain", colours).colours


STYLES: dict[str, Style] = {
    "scandinavian": Style(
        "scandinavian", ("scandinavian", "nordic", "scandi"), ("cozy", "airy", "bright", "simple"),
        wall=_finish("plain", "white #f1efea, pale grey #dfe1e0, soft white #f4f0e8"),
        side=_finish("plain", "white #f1efea, white #eeece6"),
        floor=_finish("planks", "pale oak #d9bf97, light birch #e0caa5, blond wood #d4b68a", gloss=0.25),
        wood=_finish("wood", "birch #dcc095, light oak #d2b184, pine #dfc08c", gloss=0.15),
        sofa=_finish("fabric", "light grey #b9bcbd, cream #e6dfd0, soft grey #a5a9ab, pale blue #a9bcc8"),
        chair=_finish("fabric", "cream #e8e1d3, light grey #bfc2c2, mustard #d1a545, dusty pink #d8aea3"),
        rug=_finish("diamonds", "white #ece8de, cream #e6dfd0, light grey #cfd0ce", "#6f7274"),
        curtain=_finish("curtain", "white #f3f1ec, pale grey #dcdddb"),
        accents=_accents("mustard #d3a843, dusty pink #d7a79c, sage green #9db097, navy #34495e, white #efece4"),
        metal="#2c2c2c", trim="#f6f5f2", pot="#e3ded5",
    ),
    "industrial": Style(
        "industrial", ("industrial", "loft style", "industrial loft"), ("rugged", "urban", "raw", "moody"),
        wall=_finish("brick", "red brick #9a5540, brown brick #8a5a45, rust brick #a3603f", "#b9aea0"),
        side=_finish("concrete", "grey concrete #9b9a96, dark concrete #858480"),
        floor=_finish("concrete", "grey concrete #8d8b87, dark grey #777571", gloss=0.45),
        wood=_finish("wood", "reclaimed wood #7a5638, dark wood #604630", gloss=0.1),
        sofa=_finish("leather", "brown leather #6e4228, cognac leather #95562b, black leather #2f2b29", gloss=0.35),
        chair=_finish("leather", "black leather #302c2a, brown leather #6b4026, cognac leather #8f5430", gloss=0.35),
        rug=_finish("fabric", "charcoal #55534f, grey #7d7a75, faded grey #8c8984"),
        curtain=_finish("curtain", "charcoal #4c4b4a, grey #77756f"),
        accents=_accents("charcoal #44423f, rust #9a4f2c, grey #8b8883, black #2b2a29, tan #b08d62"),
        metal="#1d1d1e", trim="#262626", ceiling="#a9a6a0", shade="#3a3836", pot="#6d6a66",
    ),
    "mid-century": Style(
        "mid-century", ("mid-century modern", "mid-century", "retro fifties"), ("retro", "warm", "vintage", "playful"),
        wall=_finish("plain", "mustard yellow #d0a13a, teal #3f8383, burnt orange #c8713a, olive #8c8a4a"),
        side=_finish("plain", "cream #ece2cb, warm white #eee6d5"),
        floor=_finish("herringbone", "walnut #97633b, teak #a87044", gloss=0.35),
        wood=_finish("wood", "walnut #7d4b29, teak #96602f", gloss=0.3),
        sofa=_finish("fabric", "teal #2f7476, orange #cf6c2b, olive #7d7c3c, mustard #cf9a2e"),
        chair=_finish("fabric", "orange #d27332, mustard #d3a033, teal #31797a, turquoise #4fa6a0"),
        rug=_finish("circles", "cream #e8dabb, mustard #d6a742", "#cf6c2b #2f7476 #7d4b29"),
        curtain=_finish("stripes", "cream #eadfc6, mustard #d6ab4c", "#cf7a3b", repeat=1.2),
        accents=_accents("orange #d9722c, teal #2f7f80, mustard #d9a52f, olive #83823f, turquoise #58afa8"),
        metal="#b08a45", trim="#7d4b29", shade="#f0dfb5", pot="#d9722c",
    ),
    "japandi": Style(
        "japandi", ("japandi", "japanese zen", "wabi-sabi"), ("calm", "serene", "quiet", "natural"),
        wall=_finish("slats", "bamboo #c7a878, honey wood #bd9a68", "#6a5236"),
        side=_finish("plaster", "beige #d8cab3, sand #d3c3a8, clay #cdb9a0"),
        floor=_finish("tatami", "straw #c9ba85, tatami green #bcb681", "#4d5136", gloss=0.05),
        wood=_finish("wood", "black wood #3b342e, dark ash #4a3f35", gloss=0.15),
        sofa=_finish("fabric", "oatmeal #d6c8b0, beige #cdbca0, stone #b5aa98"),
        chair=_finish("fabric", "charcoal #4d4944, beige #cbbb9f, moss green #7c8060"),
        rug=_finish("fabric", "sand #cfc0a4, oatmeal #d5c9b2, stone grey #a79f92"),
        curtain=_finish("curtain", "linen #e2d8c4, beige #d9ccb4"),
        accents=_accents("charcoal #46423d, moss green #767b58, clay #b48a6d, beige #cdbd9f, black #33302d"),
        metal="#2b2724", trim="#3d342c", ceiling="#ece3d3", shade="#f4ead3", pot="#57514a",
    ),
    "art deco": Style(
        "art deco", ("art deco", "gatsby style", "glamorous art deco"), ("glamorous", "elegant", "luxurious", "bold"),
        wall=_finish("scallop", "emerald #0f4a41, navy #1b2747, black #22211f", "#c39a45", gloss=0.1),
        side=_finish("plain", "emerald #145148, navy #202c4c, dark teal #164048"),
        floor=_finish("checker", "black and white marble #e9e6e0", "#262525", gloss=0.6),
        wood=_finish("wood", "black lacquer #26211f, ebony #332923", gloss=0.5),
        sofa=_finish("velvet", "emerald velvet #15604f, navy velvet #23315e, blush velvet #cf9a94, gold velvet #b98c3a",
                     gloss=0.15),
        chair=_finish("velvet", "gold velvet #bd9142, blush velvet #d0a09a, emerald velvet #166553", gloss=0.15),
        rug=_finish("deco", "black #2a2826, navy #252d4c, cream #e2d7bf", "#c39a45"),
        curtain=_finish("curtain", "gold #b08b45, emerald #145246, navy #222c50"),
        accents=_accents("gold #c9a04a, emerald #17695a, blush pink #d6a59f, black #2a2827, navy #263463"),
        metal="#c79d49", trim="#c09a4c", ceiling="#e6dfcf", shade="#f0dcae", pot="#c29b4c",
    ),
    "farmhouse": Style(
        "farmhouse", ("rustic farmhouse", "farmhouse", "country cottage", "rustic"),
        ("homely", "rustic", "cozy", "warm"),
        wall=_finish("logs", "honey pine #b98650, brown log #a06f40, weathered wood #a98a63", "#5c4026"),
        side=_finish("shiplap", "cream #e8dec8, off-white #e9e3d4", "#b9ab90"),
        floor=_finish("planks", "wide brown planks #8f6540, worn oak #9c7449", gloss=0.12, repeat=1.7),
        wood=_finish("wood", "rustic pine #a8773f, oak #98703f", gloss=0.08),
        sofa=_finish("plaid", "red plaid #a8413a, green plaid #5f7850, blue plaid #5a7391", "#ece3cf"),
        chair=_finish("fabric", "cream #e3d6bb, tan #b8976b, forest green #566b4b"),
        rug=_finish("braid", "oatmeal #cdbb98, tan #b99a6c", "#9c4a3c #6c6a4c"),
        curtain=_finish("gingham", "red gingham #b5493f, green gingham #6b8458, blue gingham #647d9b", "#f0e8d8"),
        accents=_accents("red #a8443a, cream #e6dbc3, forest green #5b7350, blue #5f7a99, tan #b59263"),
        metal="#3c342d", trim="#8a6239", ceiling="#d9c7a5", shade="#efdcb4", pot="#b0653f",
    ),
    "bohemian": Style(
        "bohemian", ("bohemian", "boho", "boho chic"), ("eclectic", "colourful", "relaxed", "vibrant"),
        wall=_finish("plaster", "terracotta #c6714d, ochre #cc9347, coral #d8826a"),
        side=_finish("plaster", "sand #e3cba6, peach #e5bd99"),
        floor=_finish("terracotta", "terracotta tile #b96f4c, clay tile #c07c54", "#d8c0a0", gloss=0.15),
        wood=_finish("rattan", "rattan #c4925a, wicker #cc9e68", "#8a5f34"),
        sofa=_finish("fabric", "magenta #a83f6d, turquoise #3c9a98, purple #76508f, rust #b5572f"),
        chair=_finish("ikat", "turquoise #3d9d9a, orange #db8136, magenta #b0487a", "#f0dcb8"),
        rug=_finish("persian", "red #a5322f, magenta #9c3560, orange #c5622f", "#27406e #e0b35a #efdfc0"),
        curtain=_finish("ikat", "orange #dd8c3f, turquoise #46a3a0, pink #d5718a", "#f2e2c2"),
        accents=_accents("turquoise #3aa5a1, magenta #b64078, orange #e08433, purple #7d549a, yellow #e2b33f"),
        metal="#8a6534", trim="#a8743f", ceiling="#efe0c6", shade="#f1cf94", pot="#4b9aa0",
    ),
    "minimalist": Style(
        "minimalist", ("minimalist", "minimal", "modern minimalist"), ("clean", "sleek", "uncluttered", "pure"),
        wall=_finish("plain", "white #f3f3f3, pure white #f6f6f5, cool grey #d5d8da"),
        side=_finish("plain", "white #f1f1f1, white #eeeff0"),
        floor=_finish("tiles", "polished light grey #c9cbcc, white #dddedd", "#b3b5b6", gloss=0.6, repeat=1.8),
        wood=_finish("plain", "white #ececec, black #2a2a2b", gloss=0.4),
        sofa=_finish("plain", "black #303133, white #e9e9e8, dark grey #55585a"),
        chair=_finish("plain", "white #e6e6e5, black #313234, grey #8f9395"),
        rug=_finish("plain", "grey #a6a9ab, white #e2e2e1, charcoal #4b4d50"),
        curtain=_finish("curtain", "white #f4f4f4, grey #c9cccd"),
        accents=_accents("black #2c2d2e, white #ececeb, grey #94989a, red #c4302b"),
        metal="#9da1a4", trim="#f6f6f6", ceiling="#f8f8f8", shade="#f6f6f2", pot="#e9e9e8",
    ),
    "victorian": Style(
        "victorian", ("victorian", "antique victorian", "old english"), ("ornate", "stately", "opulent", "classic"),
        wall=_finish("damask", "burgundy #6d2430, dark red #7a2a2c, plum #57304a", "#a8763f #4a2a1c"),
        side=_finish("wainscot", "burgundy #6b2630, plum #573149, dark red #752b2e", "#4f2d1d"),
        floor=_finish("parquet", "mahogany parquet #6f3f24, dark oak parquet #76492b", gloss=0.4),
        wood=_finish("wood", "mahogany #552818, dark walnut #4d2d1b", gloss=0.4),
        sofa=_finish("tufted", "burgundy velvet #7c2633, bottle green velvet #2b4b36, royal purple velvet #4d2c5c",
                     gloss=0.2),
        chair=_finish("tufted", "gold velvet #a27a35, burgundy velvet #7a2834, bottle green velvet #2e4d39", gloss=0.2),
        rug=_finish("persian", "burgundy #6f2029, navy #262f50, forest green #29452f", "#b68a45 #d9c391 #3a1c1c"),
        curtain=_finish("curtain", "burgundy #73242f, bottle green #294a35, gold #a27c3c"),
        accents=_accents("gold #b18a41, burgundy #7d2835, bottle green #2f5039, royal purple #523161, ivory #e1d5b8"),
        metal="#9a7436", trim="#4a2a1a", ceiling="#dccfb4", shade="#e9c98c", pot="#7d5a36",
    ),
    "coastal": Style(
        "coastal", ("coastal", "beach house", "nautical"), ("breezy", "fresh", "sunny", "light"),
        wall=_finish("shiplap", "sky blue #a9cbdc, aqua #9fd0cf, powder blue #b7cfe0", "#7fa3b5"),
        side=_finish("shiplap", "white #eff2f1, white #ecf0f0", "#cdd6d8"),
        floor=_finish("planks", "driftwood #c2b6a3, whitewashed wood #d2c9b9", gloss=0.15, repeat=1.3),
        wood=_finish("wood", "whitewashed wood #e3ddd0, driftwood #bcae98", gloss=0.1),
        sofa=_finish("fabric", "white #f0efe9, navy #2d4a70, sky blue #86b2cd"),
        chair=_finish("stripes", "blue striped #3f6f9f, navy striped #2f4c75", "#f3f2ec", repeat=0.5),
        rug=_finish("stripes", "navy striped #33527d, aqua striped #6db3b5", "#efece2", repeat=2.2),
        curtain=_finish("curtain", "white #f6f6f3, aqua #bfe0de"),
        accents=_accents("navy #2c4a72, aqua #6fbcbc, white #f0f0ec, coral #e58468, sky blue #8ab8d3"),
        metal="#c9b48e", trim="#f7f9f8", ceiling="#f6f9f9", shade="#f6f0df", pot="#e4dccb",
    ),
}  # fmt: skip
