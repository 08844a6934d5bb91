"""Small image files of every supported format, mode and depth, and of unsupported ones."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

HEIGHT, WIDTH = 37, 53
PHOTO = Image.fromarray(load_sample_images().images[1]).resize((WIDTH, HEIGHT))
GREY = PHOTO.convert("L")
ALPHA = PHOTO.copy()
ALPHA.putalpha(GREY)
DEEP = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH), "uint16")


def saved(image, format, **options):
    """The bytes of an image."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def with_turn(number):
    """The options that save an image with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = number
    return {"exif": exif}


def png(depth, kind, palette=b"", interlaced=False, transparent=b"", after=b""):
    """A PNG of random samples, written chunk by chunk, and with extra bytes behind its end."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    random = np.random.default_rng(depth)
    rows = b""
    for top, left, down, right in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        height, width = len(range(top, HEIGHT, down)), len(range(left, WIDTH, right))
        line = -(-width * channels * depth // 8)
        rows += b"".join(b"\0" + random.bytes(line) for _ in range(height if width else 0))
    chunks = [(b"IHDR", struct.pack(">2I5B", WIDTH, HEIGHT, depth, kind, 0, 0, int(interlaced)))]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"tRNS", transparent)] if transparent else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"eXIf", after), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        if data or name != b"eXIf":
            content += struct.pack(">I", len(data)) + name + data
            content += struct.pack(">I", zlib.crc32(name + data))
    return content + b"bytes behind the end"


ADAM7 = [
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
    (1, 0, 2, 1),
]  # fmt: skip


def bmp(bits, top_down=False, masks=()):
    """A BMP of random samples; `masks` are those of red, green, blue and perhaps alpha."""
    line = (WIDTH * bits + 31) // 32 * 4
    random = np.random.default_rng(bits)
    colours = random.bytes(4 * 2**bits) if bits <= 8 else b""
    table = struct.pack(f"<{len(masks)}I", *masks)
    head = 40 + (len(table) if len(masks) == 4 else 0)
    offset = 14 + 40 + len(table) + len(colours)
    height = -HEIGHT if top_down else HEIGHT
    compression = 3 if masks else 0
    info = struct.pack(
        "<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, line * HEIGHT, 0, 0, 0, 0
    )
    assert head in (40, 56)
    body = random.bytes(line * HEIGHT)
    return struct.pack("<2sIHHI", b"BM", offset + len(body), 0, 0, offset) + (
        info + table + colours + body
    )


def frames(format, **options):
    """Several pictures in one file."""
    others = [PHOTO.transpose(Image.Transpose.ROTATE_180), PHOTO.convert("L").convert("RGB")]
    return saved(PHOTO, format, save_all=True, append_images=others, **options)


PALETTE = np.random.default_rng(1).bytes(3 * 256)
FEW = PHOTO.quantize(17)
MANY = {**with_turn(6), "icc_profile": bytes(9000)}  # the header exceeds `decode.HEAD`
BIG_EXIF = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
READ = {
    **{
        f"jpeg {kind} {sampling} {progressive}": saved(
            PHOTO if kind == "rgb" else GREY,
            "JPEG",
            quality=60,
            subsampling=sampling,
            progressive=progressive,
        )
        for kind in ("rgb", "grey")
        for sampling in (0, 1, 2)
        for progressive in (False, True)
    },
    "jpeg behind the end": saved(PHOTO, "JPEG") + bytes(100),
    "jpeg cmyk": saved(PHOTO.convert("CMYK"), "JPEG"),
    "jpeg cmyk progressive": saved(PHOTO.convert("CMYK"), "JPEG", progressive=True),
    "jpeg profile": saved(PHOTO, "JPEG", icc_profile=bytes(9000)),
    "jpeg xmp": saved(PHOTO, "JPEG", xmp=b'<x tiff:Orientation="8"/>'),
    "jpeg turned behind a profile": saved(PHOTO, "JPEG", **MANY),
    **{f"jpeg turn {turn}": saved(PHOTO, "JPEG", **with_turn(turn)) for turn in range(10)},
    **{f"png grey {depth}": png(depth, 0) for depth in (1, 2, 4, 8, 16)},
    **{f"png grey {depth} interlaced": png(depth, 0, interlaced=True) for depth in (1, 8, 16)},
    **{f"png rgb {depth}": png(depth, 2) for depth in (8, 16)},
    **{f"png palette {depth}": png(depth, 3, PALETTE[: 3 * 2**depth]) for depth in (1, 2, 4, 8)},
    **{f"png {kind} {depth}": png(depth, kind) for kind in (4, 6) for depth in (8, 16)},
    "png rgb interlaced": png(8, 2, interlaced=True),
    "png palette alpha": png(8, 3, PALETTE, transparent=bytes(range(256))),
    "png palette key": png(4, 3, PALETTE[:48], transparent=b"\xff\0"),
    "png grey key": png(8, 0, transparent=b"\0\x07"),
    "png grey 1 key": png(1, 0, transparent=b"\0\x01"),
    "png rgb key": png(8, 2, transparent=b"\0\x01\0\x02\0\x03"),
    "png turned": saved(PHOTO, "PNG", **with_turn(5)),
    "png turned behind": png(8, 2, after=BIG_EXIF),
    "png frames": frames("PNG"),
    **{f"bmp {bits}": bmp(bits) for bits in (1, 4, 8, 16, 24, 32)},
    **{f"bmp {bits} top-down": bmp(bits, True) for bits in (1, 4, 8, 16, 24, 32)},
    "bmp 565": bmp(16, masks=(0xF800, 0x7E0, 0x1F)),
    "bmp masks": bmp(32, masks=(0xFF0000, 0xFF00, 0xFF)),
    "bmp saved": saved(FEW, "BMP"),
    "webp": saved(PHOTO, "WEBP"),
    "webp lossless": saved(PHOTO, "WEBP", lossless=True),
    "webp alpha": saved(ALPHA, "WEBP", lossless=True),
    "webp turned": saved(PHOTO, "WEBP", **with_turn(3)),
    "webp frames": frames("WEBP", lossless=True),
    "gif": saved(PHOTO, "GIF"),
    "gif grey": saved(GREY, "GIF"),
    "gif key": saved(FEW, "GIF", transparency=3),
    "gif frames": frames("GIF"),
    "mpo": frames("MPO"),
    **{
        f"tiff {name} {compression}": saved(image, "TIFF", compression=compression)
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate")
        for name, image in {
            "1": GREY.convert("1"),
            "grey": GREY,
            "rgb": PHOTO,
            "alpha": ALPHA,
            "palette": FEW,
            "cmyk": PHOTO.convert("CMYK"),
            "16": Image.fromarray(DEEP),
        }.items()
    },
    "tiff jpeg": saved(PHOTO, "TIFF", compression="jpeg"),
    "tiff pages": frames("TIFF"),
    "tiff turned": saved(PHOTO, "TIFF", **with_turn(6)),
}
