"""Checks of zip files, before any member is read."""

import re
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

# A hostile file can expand to a thousand times its size. Files of weights hardly shrink by more
# than this: the size of the file twice, and 256 MB.
TIMES, MORE = 2, 2**28
OUTSIDE = re.compile(r"(.*[/\\])?\.\.([/\\]|$)|[/\\]|[A-Za-z]:[/\\]")  # paths out of a folder


def members(path: Path) -> list[str]:
    """Return the names in a zip file.

    Raises:
        ValueError, BadZipFile: If the file is damaged; if a name is repeated or leads out of the
            folder; if a member is encrypted, or compressed by another method than deflate, whose
            memory Python does not limit; if the members are much larger than the file.
    """
    with ZipFile(path) as archive:
        infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise ValueError("a zip file in which a name occurs twice")
    for info in infos:
        if OUTSIDE.match(info.filename):
            raise ValueError(f"a zip file with the path {info.filename!r}, which leads elsewhere")
        if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{info.filename!r} is encrypted, or not compressed by deflate")
    total, most = sum(info.file_size for info in infos), TIMES * path.stat().st_size + MORE
    if total > most:
        raise ValueError(
            f"a zip file that expands to {total:,} bytes, expected at most {most:,}; if you trust "
            "it, save it without compression"
        )
    return names
