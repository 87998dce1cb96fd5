"""The renderer: the same from the same seed, layout and look independent, captions that say what is shown."""

import numpy as np
import pytest

from partway_rooms.renderer import (
    KINDS,
    LIGHTS,
    MEDIA,
    STYLES,
    caption_of,
    dress,
    kinds_in,
    object_map,
    render,
    sample_layout,
    sample_look,
)
from partway_rooms.renderer.captions import MEDIUM_WORDS, OBJECT_WORDS
from partway_rooms.renderer.materials import TEXTURES

SIZE = 64


def test_the_same_seed_gives_the_same_picture():
    first, second = (render(sample_layout(3), sample_look(5), SIZE) for _ in range(2))
    assert (first.pixels == second.pixels).all()
    assert first.caption == second.caption


def test_another_seed_gives_another_room():
    assert sample_layout(3) != sample_layout(4)
    assert (object_map(sample_layout(3), SIZE) != object_map(sample_layout(4), SIZE)).mean() > 0.05


@pytest.mark.parametrize("seed", range(4))
def test_the_object_map_depends_on_the_layout_alone(seed):
    layout = sample_layout(seed)
    expected = object_map(layout, SIZE)
    for style, light, medium in zip(list(STYLES)[:6], LIGHTS, (*MEDIA, "photo"), strict=True):
        drawn = render(layout, sample_look(seed, style, light, medium), SIZE)
        assert (drawn.objects == expected).all()


def test_fixing_one_part_of_a_look_leaves_the_others():
    free = sample_look(9)
    fixed = sample_look(9, style="industrial")
    assert fixed == free._replace(style="industrial")


def test_styles_lights_and_media_look_different():
    layout = sample_layout(1)
    for key, names in (("style", STYLES), ("light", LIGHTS), ("medium", MEDIA)):
        start = {"style": "minimalist", "light": "daylight", "medium": "photo"}
        drawn = [render(layout, sample_look(1, **(start | {key: n})), SIZE).pixels.astype(float) for n in names]
        gaps = [np.abs(a - b).mean() for i, a in enumerate(drawn) for b in drawn[:i]]
        assert min(gaps) > 4, key


def test_there_is_enough_variety():
    assert len(STYLES) >= 8
    assert len(LIGHTS) >= 6
    assert len(MEDIA) >= 4
    seen = {KINDS[k] for seed in range(40) for k in np.unique(object_map(sample_layout(seed), SIZE))}
    assert seen == set(KINDS)


@pytest.mark.parametrize("seed", range(30))
def test_captions_name_what_is_shown(seed):
    layout, look = sample_layout(seed), sample_look(seed)
    for variant in range(3):
        caption = caption_of(layout, look, dress(look).names, variant)
        assert any(word in caption for word in STYLES[look.style].words)
        assert any(word in caption for word in LIGHTS[look.light].words)
        assert look.medium == "photo" or any(word in caption for word in MEDIUM_WORDS[look.medium])
        absent = set(OBJECT_WORDS) - kinds_in(layout)
        shared = {word for kind in kinds_in(layout) & set(OBJECT_WORDS) for word in OBJECT_WORDS[kind]}
        for kind in absent:
            for word in set(OBJECT_WORDS[kind]) - shared:
                assert (f" {word}," not in caption and not caption.endswith(f" {word}")) or any(
                    word in other for other in shared
                ), (caption, kind)


def test_captions_of_one_picture_differ():
    layout, look = sample_layout(2), sample_look(2)
    assert len({caption_of(layout, look, dress(look).names, v) for v in range(6)}) >= 4


def test_every_finish_has_its_texture():
    for look in (sample_look(i, style=name) for name in STYLES for i in range(3)):
        assert all(material.texture in TEXTURES for material in dress(look).materials.values())


def test_a_picture_is_neither_black_nor_white():
    for light in LIGHTS:
        pixels = render(sample_layout(8), sample_look(8, light=light, medium="photo"), SIZE).pixels
        assert 12 < pixels.mean() < 235
        assert pixels.std() > 10


def test_any_size():
    drawn = render(sample_layout(0), sample_look(0, medium="pixel art"), 100)
    assert drawn.pixels.shape == (100, 100, 3)
    assert drawn.objects.shape == (100, 100)
