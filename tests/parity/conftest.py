import pytest

import tiny
from partway_export import export


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """``models(kind, format)``: a small random-weight model's folder, as diffusers' or exported; each made once."""
    root = tmp_path_factory.mktemp("models")
    made = {}

    def get(kind, form="diffusers"):
        if (kind, form) not in made:
            path = root / f"{kind}-{form}"
            if form == "diffusers":
                tiny.build(path, kind)
            else:
                export(get(kind), path, to=form, weights="fp32", goldens=False)
            made[kind, form] = path
        return made[kind, form]

    return get
