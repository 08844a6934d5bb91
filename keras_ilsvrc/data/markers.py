"""Fast reader of the headers of ordinary JPEGs. Pillow reads all other headers."""

from keras_ilsvrc.data.headers import MAX_PIXELS, Header

ENOUGH = 4096  # number of bytes that are read; enough for most JPEG headers without metadata
MODES = {1: "grey", 3: "RGB", 4: "CMYK"}  # {number of channels: mode}
TABLE = 65  # bytes of an 8-bit quantization table with its number
SKIPPED = (0xC4, 0xDD, 0xFE)  # segments that Pillow skips: DHT, DRI, comment
SKIPPED_APPS = (*range(0xE3, 0xED), 0xEF)  # APP3 to APP12 and APP15, which Pillow skips too
LABELLED = (0xE0, 0xEE)  # APP0 (JFIF) and APP14 (Adobe), of which Pillow reads the first bytes
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive frame headers
START_OF_SCAN, QUANTIZATION = 0xDA, 0xDB
LONGEST = 0x4000  # maximum length; a longer first segment could look like another format


def ordinary_jpeg(start: bytes) -> Header | None:
    """Read the header of a JPEG from its first bytes, a few times as fast as Pillow.

    Returns:
        The same header as `headers.read_header`. None if the file is not a JPEG, or contains
        anything unusual, such as EXIF data, damage or a segment that goes beyond `start`.
    """
    if start[:3] != b"\xff\xd8\xff" or start[8:11] == b"CR\x02":
        return None
    at, found = 2, None
    while at + 4 <= len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], start[at + 2] << 8 | start[at + 3]
        end = at + 2 + length
        if length < 2 or end > len(start) or (at == 2 and length > LONGEST):
            return None
        if marker == START_OF_SCAN:
            return found
        if marker in FRAMES:
            if found or (found := _frame(start[at + 4 : end])) is None:
                return None
        elif marker == QUANTIZATION:
            if (length - 2) % TABLE or any(start[x] > 15 for x in range(at + 4, end, TABLE)):
                return None
        elif marker in LABELLED:
            if length < 9:
                return None
        elif marker not in SKIPPED and marker not in SKIPPED_APPS:
            return None
        at = end
    return None


def _frame(content: bytes) -> Header | None:
    """Return the `Header` that a JPEG frame header gives; None if it is unusual."""
    if len(content) < 6 or content[0] != 8 or len(content) != 6 + 3 * content[5]:
        return None
    height, width = content[1] << 8 | content[2], content[3] << 8 | content[4]
    mode = MODES.get(content[5])
    if mode is None or not 0 < height * width <= MAX_PIXELS:
        return None
    return Header("JPEG", height, width, mode)
