"""Fetches the JavaScript libraries of the page from npm, unmodified, and records their versions and digests.

``python -m tools.vendor_page`` writes them anew; with ``--check`` it compares, and ends with 1 if a file differs. The
versions are in ``vendor.json``. It needs ``npm``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "plugins" / "page" / "src" / "starlake_core_page" / "static" / "vendor"
RECORD = VENDOR / "vendor.json"


def fetch(package: str, version: str, members: dict[str, str]) -> dict[str, bytes]:
    """Return files of a package.

    Args:
        package: its name.
        version: its exact version.
        members: the path in the package of each file, by the name that it gets.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as opened:
            found = {}
            for name, member in members.items():
                file = opened.extractfile(f"package/{member}")
                assert file is not None
                found[name] = file.read()
            return found


def main() -> int:
    """Fetch or compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    different = []
    for package, version in record["packages"].items():
        members = {name: file["path"] for name, file in record["files"].items() if file["package"] == package}
        for name, content in fetch(package, version, members).items():
            target = VENDOR / name
            if not target.exists() or target.read_bytes() != content:
                different.append(name)
            if not check:
                target.write_bytes(content)
                record["files"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    if not check:
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(("different: " if check else "written: ") + ", ".join(different) if different else "all as recorded")
    return 1 if check and different else 0


if __name__ == "__main__":
    sys.exit(main())
