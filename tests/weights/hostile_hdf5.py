"""Hostile HDF5 and `.keras` files: {file name: (function that writes the file, error message)}."""

import zipfile
import zlib

import h5py
import numpy as np

NOISE = np.random.default_rng(0).standard_normal((20, 30)).astype("f4")
OUTSIDE = "../outside/weights.h5"  # a good file, which must not be opened
LATEST = {"libver": "latest"}


def hdf5(fill, **options):
    """An HDF5 file that a function fills."""

    def write(path):
        with h5py.File(path, "w", **options) as file:
            fill(file)

    return write


def item(name, value):
    return hdf5(lambda file: file.__setitem__(name, value))


def dataset(*shape, dtype="f4", **options):
    return hdf5(lambda file: file.create_dataset("w", shape, dtype, **options))


def values(data, **options):
    return hdf5(lambda file: file.create_dataset("w", data=data, **options))


def changed(write, *changes):
    """A file after replacements of bytes, each of the same length."""

    def rewrite(path):
        write(path)
        content = path.read_bytes()
        for old, new in changes:
            assert old in content
            assert len(old) == len(new)
            content = content.replace(old, new)
        path.write_bytes(content)

    return rewrite


def cut(write, part):
    def rewrite(path):
        write(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    return rewrite


def virtual(file):
    layout = h5py.VirtualLayout((20, 30), "f4")
    layout[:] = h5py.VirtualSource(OUTSIDE, "w", (20, 30))
    file.create_virtual_dataset("w", layout)


def virtual_series(file):
    """A virtual dataset that looks for source files when its shape is asked for."""
    layout = h5py.VirtualLayout((1, 30), "f4", maxshape=(None, 30))
    source = h5py.VirtualSource("../outside/weights%b.h5", "w", (1, 30))
    layout[slice(0, h5py.h5s.UNLIMITED), :] = source
    file.create_virtual_dataset("w", layout)


def loop(file):
    group = file.create_group("a/b")
    group["back"] = file["a"]


def two_names(file):
    file["w"] = NOISE
    file["v"] = file["w"]


def deep(file):
    file.create_group("/".join("g" * 40))


def many(file):
    group = file.create_group("g")
    for number in range(20_001):
        group[str(number)] = h5py.SoftLink("/w")


def chunk(content, chunks, **options):
    """A dataset (20, 30) of one compressed chunk with this content."""

    def fill(file):
        made = file.create_dataset("w", (20, 30), "f4", chunks=chunks, compression=9, **options)
        made.id.write_direct_chunk((0, 0), content)

    return hdf5(fill)


def empty_space(file):
    file.create_dataset("w", data=h5py.Empty("f4"))


def filtered(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((20, 30))
    plan.set_scaleoffset(h5py.h5z.SO_FLOAT_DSCALE, 3)
    space = h5py.h5s.create_simple((20, 30))
    h5py.h5d.create(file.id, b"w", h5py.h5t.NATIVE_FLOAT, space, plan)


def keras_of(*members, method=zipfile.ZIP_STORED):
    """A `.keras` file; members that are functions write their files."""

    def write(path):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members:
                if callable(content):
                    content(part := path.with_suffix(".part"))
                    content = part.read_bytes()
                    part.unlink()
                archive.writestr(name, content)

    return write


PACKED = zlib.compress(NOISE.tobytes())
PACKER = zlib.compressobj(9, zlib.DEFLATED, -15)
MEGABYTE = PACKER.compress(bytes(2**20)) + PACKER.flush(zlib.Z_FULL_FLUSH)
GIGABYTE = zlib.compress(b"")[:2] + MEGABYTE * 1024  # when it is decompressed
GOOD = values(NOISE)
WEIGHTS = ("model.weights.h5", GOOD)
SECRET = [("/etc/hostname", 0, 16)]
RECORDS = np.dtype([("a", "f4"), ("b", "O")])
FILES = {
    "external_storage.h5": (dataset(4, external=SECRET), "w stores its values in other files"),
    "external_link.h5": (
        item("w", h5py.ExternalLink(OUTSIDE, "w")),
        "'w' is a link to another object",
    ),
    "external_group.h5": (
        item("model_weights", h5py.ExternalLink(OUTSIDE, "/")),
        "'model_weights' is a link to another object",
    ),
    "soft_link.h5": (item("w", h5py.SoftLink("/v")), "'w' is a link to another object"),
    "soft_loop.h5": (item("w", h5py.SoftLink("/w")), "'w' is a link to another object"),
    "slash.h5": (
        changed(hdf5(lambda f: f.__setitem__("a#w", NOISE)), (b"a#w", b"a/w")),
        "'a/w' is a link to another object",
    ),
    "loop.h5": (hdf5(loop), "'a/b/back' .* names an object again"),
    "two_names.h5": (hdf5(two_names), "'w' .* names an object again"),
    "deep.h5": (hdf5(deep), "is too deep or too long, or"),
    "long_name.h5": (item("a" * 501, NOISE), "is too deep or too long, or"),
    "many.h5": (hdf5(many, **LATEST), "more than 20,000 groups and datasets"),
    "virtual.h5": (hdf5(virtual, **LATEST), "w stores its values in other files"),
    "series.h5": (hdf5(virtual_series, **LATEST), "w stores its values in other files"),
    "reference.h5": (dataset(3, dtype=h5py.ref_dtype), "w has dtype object, expected numbers"),
    "region.h5": (dataset(3, dtype=h5py.regionref_dtype), "w has dtype object"),
    "texts.h5": (values(["a", "b"]), "w has dtype object, expected numbers"),
    "bytes.h5": (values(np.array([b"a", b"b"])), r"w has dtype \|S1"),
    "records.h5": (dataset(3, dtype=np.dtype("f4, i4")), "w has dtype"),
    "opaque.h5": (values(np.zeros(3, "V9")), r"w has dtype \|V9"),
    "lists.h5": (dataset(3, dtype=h5py.vlen_dtype("f4")), "w has dtype object"),
    "complex.h5": (values(NOISE.astype("c8")), "w has dtype complex64"),
    "wide.h5": (values(NOISE.astype("longdouble")), "w has dtype"),
    "null.h5": (hdf5(empty_space), "w has dtype float32, expected numbers"),
    "named_type.h5": (item("t", np.dtype("f4")), "t is neither a group nor a dataset"),
    "unallocated.h5": (dataset(2**20, 2**12), "17,179,869,184 bytes of values, but 0 bytes"),
    "unallocated_small.h5": (dataset(3), "w has 12 bytes of values, but 0 bytes in the file"),
    "no_chunks.h5": (dataset(2**20, 2**12, chunks=(64, 64)), "of values, but 0 bytes in the file"),
    "huge_chunk.h5": (
        chunk(PACKED, (2**14, 2**14), maxshape=(None, None)),
        "w has 1,073,741,824 bytes of values, but",
    ),
    "zeros.h5": (values(np.zeros((2**11, 2**11), "f4"), compression="gzip"), "w has 16,777,216 b"),
    "swollen.h5": (chunk(GIGABYTE, (20, 30)), "has a chunk of more than 2,404 bytes"),
    "cut_chunk.h5": (chunk(PACKED[:-9], (20, 30)), "cannot read the hdf5 file"),
    "lzf.h5": (values(NOISE, compression="lzf"), "has a filter other than gzip"),
    "scaled.h5": (hdf5(filtered), "has a filter other than gzip"),
    "none.h5": (hdf5(lambda file: file.create_group("layers")), "it contains no arrays"),
    "half.h5": (cut(GOOD, 0.5), "truncated file"),
    "head.h5": (cut(GOOD, 0.01), "cannot read the hdf5 file"),
    "last_byte.h5": (cut(GOOD, 0.9999), "truncated file"),
    "group.h5": (changed(GOOD, (b"SNOD", b"SNOB")), "cannot read the hdf5 file"),
    "tree.h5": (changed(GOOD, (b"TREE", b"TREF")), "cannot read the hdf5 file"),
    "heap.h5": (changed(GOOD, (b"HEAP", b"LEAP")), "cannot read the hdf5 file"),
    "shape.h5": (
        changed(GOOD, ((20).to_bytes(8, "little") * 1, (2**40).to_bytes(8, "little"))),
        "cannot read the hdf5 file",
    ),
    "external.keras": (
        keras_of(("model.weights.h5", item("w", h5py.ExternalLink(OUTSIDE, "w")))),
        "'w' is a link to another object",
    ),
    "bomb.keras": (
        keras_of(("model.weights.h5", dataset(2**20, 2**12))),
        "17,179,869,184 bytes of values, but 0 bytes",
    ),
    "slip.keras": (keras_of(WEIGHTS, ("../../ran", b"x")), "outside its folder"),
    "root.keras": (keras_of(("/etc/cron.d/ran", b"x"), WEIGHTS), "outside its folder"),
    "compressed.keras": (keras_of(WEIGHTS, method=zipfile.ZIP_DEFLATED), "is compressed; unpack"),
    "sharded.keras": (keras_of(("config.json", b"{}"), ("model.weights.json", b"{}")), "zip file"),
    "text.keras": (keras_of(("model.weights.h5", b"weights" * 99)), "file signature not found"),
    "pickle.keras": (keras_of(("model.weights.h5", b"\x80\x02cos\nsystem\n.")), "file signature"),
    "half.keras": (cut(keras_of(WEIGHTS), 0.5), "not a zip file"),
}
