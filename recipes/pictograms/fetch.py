"""Download the pinned packages, check their hashes and licences, and unpack them."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

from recipes.pictograms.sources import DEFAULT_WORK, RecipeError, Source, load_sources

PUBLIC_DOMAIN_WORDS = "creative commons Public Domain Dedication"
GPL_WORDS = "License: GPL-2"
DEBIAN_LICENCE_WORDS = {
    "LicenseRef-PublicDomain": PUBLIC_DOMAIN_WORDS,
    "LicenseRef-SCOWL": "SCOWL (Spell Checker Oriented Word Lists)",
    "LicenseRef-WordNet-3.0": "License: WordNet3.0",
    "GPL-2.0": GPL_WORDS,
}


def run(command: list[str], folder: Path) -> str:
    """Run a command in `folder` and return its output; a failure is a RecipeError."""
    try:
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RecipeError(f"{command[0]} is not installed; the recipe needs it") from error
    except subprocess.CalledProcessError as error:
        raise RecipeError(f"{' '.join(command)} failed:\n{error.stderr.strip()}") from error
    return done.stdout


def archive_name(source: Source) -> str:
    """Return the file name under which the registry's own client stores the package."""
    if source.registry == "npm":
        flat = source.package.removeprefix("@").replace("/", "-")
        return f"{flat}-{source.version}.tgz"
    return f"{source.package}_{source.version.replace(':', '%3a')}_all.deb"


def download(source: Source, archives: Path) -> Path:
    """Return the package's archive, downloaded unless it is there, its hash checked."""
    archives.mkdir(parents=True, exist_ok=True)
    target = archives / archive_name(source)
    if not target.exists():
        if source.registry == "npm":
            run(["npm", "pack", "--silent", f"{source.package}@{source.version}"], archives)
        else:
            run(["apt-get", "download", f"{source.package}={source.version}"], archives)
    if not target.exists():
        raise RecipeError(f"{source.registry} gave no {target.name} for {source.name}")
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != source.sha256:
        raise RecipeError(
            f"{target} has sha256 {found}, but sources.json pins {source.sha256}: delete the file "
            "and fetch again, or look at what changed and pin the new hash"
        )
    return target


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive to `folder`, which appears only when it is whole."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if archive.suffix == ".deb":
        run(["dpkg", "-x", str(archive), str(partial)], partial)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
    partial.rename(folder)


def stated_licences(source: Source, folder: Path) -> set[str]:
    """Return the licences that the unpacked package states."""
    if source.registry == "debian":
        path = next(folder.glob("usr/share/doc/*/copyright"))
        text = upstream_part(path.read_text(encoding="utf-8"))
        return {name for name, words in DEBIAN_LICENCE_WORDS.items() if words in text}
    package = folder / "package"
    stated = {json.loads((package / "package.json").read_text(encoding="utf-8"))["license"]}
    if (package / "info.json").exists():
        info = json.loads((package / "info.json").read_text(encoding="utf-8"))
        stated.add(info["license"]["spdx"])
    return stated


def upstream_part(copyright_file: str) -> str:
    """Return what a Debian copyright file says of all but the packaging itself, if it tells."""
    kept = copyright_file.split("\nFiles: debian/*")[0]
    return kept if "\nFiles: *" in kept else copyright_file


def check_licence(source: Source, folder: Path) -> None:
    """Refuse a package whose own statement differs from the table."""
    stated = stated_licences(source, folder)
    if stated != {source.licence}:
        raise RecipeError(
            f"{source.name} states {sorted(stated)}, but sources.json says {source.licence}: "
            "look at the package, then correct the table or drop the source"
        )


def fetch_source(source: Source, work: Path) -> bool:
    """Bring one source to `work`; return whether anything had to be unpacked."""
    folder = work / "raw" / source.name
    marker = folder.with_name(f"{source.name}.done")
    if marker.exists() and marker.read_text(encoding="utf-8") == source.sha256:
        return False
    archive = download(source, work / "archives")
    shutil.rmtree(folder, ignore_errors=True)
    unpack(archive, folder)
    check_licence(source, folder)
    marker.write_text(source.sha256, encoding="utf-8")
    return True


def fetch_all(work: Path) -> None:
    """Fetch every source, and say what was there already."""
    for source in load_sources():
        state = "fetched" if fetch_source(source, work) else "there"
        print(f"{source.name:28}{source.version:18}{source.drawing_licence:26}{state}")


def main() -> None:
    """Fetch every source of sources.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="where packages go")
    fetch_all(parser.parse_args().work)


if __name__ == "__main__":
    main()
