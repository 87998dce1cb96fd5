"""Leaves out of a package the networks that another one beside it has too: python -m models.rooms.share PACKAGE OTHER.

What is left names OTHER in its ``partway.json`` as ``shares``, and lists the files and checksums that it listed before.
"""

import argparse
from pathlib import Path
from typing import Any

from partway.graphs import NETWORKS
from partway.model import files
from partway_export.manifest import MANIFEST, put_manifest


def share(package: Path, other: Path) -> list[str]:
    """Removes the graphs and weights of the networks that are the same, byte for byte, and returns those networks.

    SystemExit where the folders do not lie side by side.
    """
    if package.resolve().parent != other.resolve().parent:
        raise SystemExit(f"{package} and {other} do not lie in one folder")
    manifest = files.manifest(package / MANIFEST)
    own, theirs = (_graphs(one) for one in (manifest, files.manifest(other / MANIFEST)))
    shared = [network for network in NETWORKS if network in own and own[network] == theirs.get(network)]
    for network in shared:
        for name in own[network]:
            (package / name).unlink(missing_ok=True)
    put_manifest(package, manifest | {"shares": other.resolve().name})
    return shared


def _graphs(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of each network with their checksums; without its ``config.json``, which stays where it is."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in manifest["files"].items():
        folder, _, file = name.partition("/")
        if folder in NETWORKS and file != "config.json":
            found.setdefault(folder, {})[name] = entry
    return found


def main() -> None:
    """Leaves them out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("other", type=Path)
    args = parser.parse_args()
    print(*share(args.package, args.other))


if __name__ == "__main__":
    main()
