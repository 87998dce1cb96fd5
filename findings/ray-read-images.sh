#!/usr/bin/env bash
# Ray Data's read_images leaves out pictures, turns others white, and leaves some on their side, and says nothing.
#
# It reads files with seven endings; of a folder it takes no others, so that .webp and .avif are not there. With
# mode="RGB", which a model needs, Pillow's convert clips 16-bit grey to white. EXIF orientation, which every phone
# writes, is not applied.
#
# Why it matters: image-to-image over a folder of photos is what Ray Data's guides show it for. A third of the folder is
# missing from the result, an exported depth map comes out white, and portraits lie on their side.
#
# Source: ray.data.read_images (its default file_extensions and its mode); Pillow's docs of Image.convert and of
# ImageOps.exif_transpose; the EXIF specification, tag 0x0112.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "ray[data]==2.60.0" pillow==13.0.0
cd "$folder"
cat > program.py <<'EOF'
import logging
import os
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray.data

Path("pictures").mkdir()
y, x = np.mgrid[:32, :64]
picture = Image.fromarray(np.stack([4 * x, 8 * y, x + y], axis=2).astype(np.uint8))
grey = Image.fromarray((1024 * x).astype(np.uint16))  # from black to white
exif = Image.Exif()
exif[0x0112] = 6  # to be turned by a quarter: 32 wide, 64 high
picture.save("pictures/plain.png")
picture.save("pictures/photo.webp")
picture.save("pictures/photo.avif")
picture.save("pictures/turned.jpg", exif=exif)
grey.save("pictures/deep.png")

logging.getLogger("ray.data").setLevel(logging.ERROR)
ray.init(num_cpus=2, log_to_driver=False, logging_level=logging.ERROR)
ray.data.DataContext.get_current().enable_progress_bars = False
rows = ray.data.read_images("pictures", mode="RGB", include_paths=True).take_all()
found = {Path(row["path"]).name: row["image"] for row in rows}
print(f"ray {ray.__version__}, pillow {PIL.__version__}")
print(f"  given  {sorted(path.name for path in Path('pictures').iterdir())}")
print(f"  read   {sorted(found)}")
print(f"  the quarter turn of turned.jpg: {found['turned.jpg'].shape[:2]} high and wide, upright it has (64, 32)")
white = float((found["deep.png"] == 255).mean())
print(f"  of deep.png {100 * white:.0f} % are white; of the file {100 * float((np.asarray(grey) >= 65280).mean()):.0f} %")
seen = [sorted(found) == ["deep.png", "plain.png", "turned.jpg"], found["turned.jpg"].shape[:2] == (32, 64), white > 0.9]
sys.exit(0 if all(seen) else f"the behaviour has changed: {seen}")
EOF
echo "expected: a row for each picture, upright, with its values"
echo "seen: .webp and .avif are left out, 16-bit grey is white, the turned picture lies on its side"
"$folder/venv/bin/python" program.py
