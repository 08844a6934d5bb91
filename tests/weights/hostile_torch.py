"""Hostile torch files and other zip files: {file name: (function that writes it, error message)}.

Some contain `COMMAND`, which makes a file if it is run; after reading, this file must not exist.
"""

import io
import struct
import zipfile

from writers import Code, called, named, pickled, tensor, torch_of

COMMAND = "touch ran"
VALUES = {"data/0": bytes(8)}
GOOD = {"w": tensor("0", (2,))}

# {module: functions and classes that run code or open files when they are called}
GADGETS = {
    "builtins": ["eval", "exec", "compile", "__import__", "getattr", "open"],
    "os": ["system", "popen", "path"],
    "posix": ["system"],
    "subprocess": ["Popen"],
    "importlib": ["import_module"],
    "runpy": ["run_path"],
    "pickle": ["loads"],
    "marshal": ["loads"],
    "types": ["FunctionType", "CodeType"],
    "functools": ["partial"],
    "operator": ["methodcaller"],
    "codecs": ["encode"],
    "collections": ["defaultdict"],
    "ctypes": ["CDLL"],
    "numpy": ["load"],
    "torch": ["load", "FloatTensor", "hub.load", "jit.load", "storage._load_from_bytes"],
    "keras.models": ["load_model"],
    "keras_ilsvrc.weights": ["read"],
}


def saved(value, members=VALUES):
    return lambda path: torch_of(path, value, members)


def opcodes(content):
    """A torch file with a pickle of these opcodes."""
    return saved(Code(content))


def views(*arguments, members=VALUES, **options):
    return saved({"w": tensor(*arguments, **options)}, members)


def folded(depth):
    """A tuple of a tuple of ..., each of which has the next one twice, with a memo of one item."""
    return b")" + b"q\0h\0\x86" * depth


def pickle_of(**members):
    """A torch file with other members."""
    return saved(GOOD, {**VALUES, **{name.replace("_", "."): one for name, one in members.items()}})


def archive(*members, method=zipfile.ZIP_STORED, change=lambda content: content):
    """A zip file of pairs of a name, or a ZipInfo, and content, after a change of its bytes."""

    def write(path):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as made:
            for name, content in members:
                made.writestr(name, content)
        path.write_bytes(change(file.getvalue()))

    return write


def linked(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def central(content, number):
    """The offset of an entry in the list of members at the end of a zip file."""
    place = -1
    for _ in range(number + 1):
        place = content.index(b"PK\x01\x02", place + 1)
    return place


def listed(number, offset, value):
    """Change a number in the list of members: 24 is the size, 42 the place of a member."""

    def change(content):
        place = central(content, number) + offset
        return content[:place] + struct.pack("<I", value) + content[place + 4 :]

    return change


PICKLE = ("a/data.pkl", b"\x80\x02" + pickled(GOOD) + b".")
STORAGE = ("a/data/0", bytes(8))
MANY = [(f"a/data/{number:>0200}", b"") for number in range(17_500)]
INSTANCE = named("os.system")
CALLED = called("collections.OrderedDict")

OPCODES = {
    "instance": (b"(X\1\0\0\0aios\nsystem\n", "opcode INST"),
    "object": (b"(" + INSTANCE + b"X\1\0\0\0ao", "pickle refers to 'os.system'"),
    "new": (named("torch.FloatStorage") + b")\x81", "torch.FloatStorage"),
    "new_gadget": (INSTANCE + pickled((COMMAND,)) + b"\x81", "pickle refers to 'os.system'"),
    "unknown": (b"\xff", "the pickle has the opcode ff"),
    "equal_hashes": (
        b"}(" + b"".join(pickled(k * (2**61 - 1)) + b"N" for k in range(50_000)) + b"u",
        "key in the pickle is too long, or of type int",
    ),
    "many_arguments": (
        called("torch._utils._rebuild_parameter", GOOD["w"], *range(9)),
        "_rebuild_parameter with more than 8 arguments",
    ),
    "pairs": (called("collections.OrderedDict", [["w"], [None]]), "other than pairs"),
    "pairs_of_text": (called("collections.OrderedDict", "ab"), "other than pairs"),
    "long_key": (
        pickled(("storage", named("torch.FloatStorage"), "0" * 501, "", 2)) + b"Q",
        "refe",
    ),
    "new_ex": (b"\x92", "opcode NEWOBJ_EX"),
    "extension": (b"\x82\1", "opcode EXT1"),
    "extension4": (b"\x84\1\0\0\0", "opcode EXT4"),
    "text_id": (b"P0\n", "opcode PERSID"),
    "set_state": (INSTANCE + pickled({"__setstate__": INSTANCE}) + b"b", "'os.system'"),
    "state_of_class": (
        named("torch.FloatStorage") + b"}b",
        "opcode BUILD for a value of type Name",
    ),
    "class_called": (named("torch.FloatStorage") + b")R", "FloatStorage"),
    "text_called": (pickled("os.system") + b")R", "opcode REDUCE for a value of type str"),
    "call_of_dict": (CALLED + b")R", "opcode REDUCE for a value of type dict"),
    "nested": (called("builtins.getattr", INSTANCE, "x") + b")R", "'builtins.getattr'"),
    "dotted": (pickled("torch") + pickled("hub.load") + b"\x93", "'torch.hub.load'"),
    "stacked": (pickled("os") + pickled("system") + b"\x93", "'os.system'"),
    "folded_name": (
        folded(60) + pickled("system") + b"\x93",
        "STACK_GLOBAL for a value of type tuple",
    ),
    "folded_key": (b"}" + folded(60) + b"NsN", "key in the pickle is too long"),
    "deep_key": (b"}" + b")" + b"\x85" * 200_000 + b"Ns", "key in the pickle is too long"),
    "deep_items": (called("collections.OrderedDict", [(Code(folded(60)), 1)]), "other than pairs"),
    "itself": (b"}q\0X\1\0\0\0ah\0s", "dictionaries are too deep, or one"),
    "deep": (b"}X\1\0\0\0a" * 30 + b"}" + b"s" * 30, "dictionaries are too deep"),
    "long_name": (pickled({"a" * 501: GOOD["w"]}), "key in the pickle is too long"),
    "twice": (b"}" + (pickled("w") + b"Ns") * 2, "the name 'w' occurs twice"),
    "dots": (pickled({"a.b": GOOD["w"], "a": {"b": GOOD["w"]}}), "two tensors have the same name"),
    "memo": (b"Nr\xff\xff\xff\x7f", "expected a dictionary of tensors"),
    "no_memo": (b"j\xff\xff\xff\x7f", "cannot read the torch file: 2147483647"),
    "huge_text": (b"X\xff\xff\xff\x7f", "expected 2147483647 bytes in|2147483647"),
    "huge_bytes": (b"\x8e" + b"\xff" * 7 + b"\x7f", "the opcode BINBYTES8"),
    "huge_number": (b"\x8b\xff\xff\xff\x7f", "the opcode LONG4"),
    "digits": (b"I" + b"9" * 100_000 + b"\n", "the opcode INT"),
    "long": (b"N0" * 20, "opcode POP"),
    "many_opcodes": (b")" * 500_001, "or more than 500,000 opcodes"),
    "many_tensors": (
        b"}("
        + pickled("w")
        + GOOD["w"]
        + b"q\0"
        + b"".join(pickled(str(number)) + b"h\0" for number in range(10_000))
        + b"u",
        "there are over 10,000 tensors",
    ),
    "underflow": (b"sssu", "index out of range"),
    "list": (pickled([GOOD["w"]]), "expected a dictionary of tensors"),
    "bare": (GOOD["w"], "expected a dictionary of tensors"),
    "numbers": (pickled({"epoch": 3}), "it contains no arrays"),
    "reference": (pickled(("module", named("torch.FloatStorage"), "0", "cpu", 2)) + b"Q", "refer"),
    "short_reference": (pickled(("storage", "0")) + b"Q", "not enough values"),
    "not_a_tensor": (called("torch._utils._rebuild_tensor_v2", {}, 0, (2,), (1,)), "without a sto"),
}
TENSORS = {
    "outside": (views("../../outside/secret", (2,)), "no storage '../../outside/secret'"),
    "no_storage": (views("1", (2,)), "w has no values: there is no storage '1'"),
    "not_data": (views("data.pkl", (2,)), "no storage 'data.pkl'"),
    "short": (views("0", (2,), length=3), "storage 0 has 8 bytes, expected 12"),
    "kind": (views("0", (2,), kind="Double"), "storage 0 has 8 bytes, expected 16"),
    "quantized": (views("0", (2,), kind="QInt8"), "pickle refers to 'torch.QInt8Storage'"),
    "shape": (views("0", (3,), length=2), r"shape \(3,\) needs more than the 2 values"),
    "offset": (views("0", (2,), offset=1, length=2), r"shape \(2,\) needs more than the 2 values"),
    "stride": (views("0", (2,), (2,)), r"shape \(2,\) needs more than the 2 values"),
    "negative_stride": (views("0", (2,), (-1,), 1), "or a negative size"),
    "negative_offset": (views("0", (2,), (1,), -1), "or a negative size"),
    "repeated": (views("0", (2**40,), (0,), length=2), "needs more than the 2 values"),
    "axes": (views("0", (1,) * 65, (1,) * 65, length=2), "more than 8 axes"),
    "strides": (views("0", (2,), (1, 1), length=2), "zip|argument"),
    "fraction": (views("0", (2.0,), (1,), length=2), "negative size"),
    "shared": (
        saved({f"w{n}": tensor("0", (2**20,)) for n in range(50)}, {"data/0": bytes(2**22)}),
        "parts of much larger storages",
    ),
}
ZIPS = {
    "big_pickle": (saved(Code(bytes(2**24))), "or more than 16,777,216 bytes"),
    "script": (pickle_of(constants_pkl=b"\x80\x02)."), "TorchScript code; .* torch.save$"),
    "unended": (pickle_of(data_pkl=b"\x80\x02}"), "the pickle has no end"),
    "big_endian": (pickle_of(byteorder=b"big"), "byte order is not little"),
    "two_folders": (archive(PICKLE, STORAGE, ("b/data.pkl", b"N.")), "expected one folder"),
    "no_folder": (archive(("data.pkl", PICKLE[1]), ("data/0", bytes(8))), "expected one folder"),
    "slip": (archive(PICKLE, STORAGE, ("a/../../../ran", b"x")), "outside its folder"),
    "root": (archive(PICKLE, STORAGE, ("/tmp/ran", b"x")), "outside its folder"),
    "back": (archive(PICKLE, STORAGE, ("a\\..\\ran", b"x")), "outside its folder"),
    "same": (
        archive(PICKLE, STORAGE, ("a/data/1", b""), change=lambda x: x.replace(b"a/1", b"a/0")),
        "two members of the zip file have the same name",
    ),
    "link": (
        archive(PICKLE, (linked("a/data/0"), b"/dev/zero")),
        "'a/data/0' of the zip file is a link",
    ),
    "overlap": (archive(PICKLE, STORAGE, change=listed(1, 42, 0)), "overlaps others"),
    "past_end": (
        archive(PICKLE, STORAGE, change=listed(1, 42, 2**31)),
        "cannot read the weight file",
    ),
    "no_header": (archive(PICKLE, STORAGE, change=listed(1, 42, 9)), "'a/data/0' .* has no header"),
    "compressed": (archive(PICKLE, STORAGE, method=zipfile.ZIP_DEFLATED), "compressed members"),
    "bomb": (archive(PICKLE, STORAGE, change=listed(1, 24, 2**31)), "expands to 2,147,"),
    "lzma": (archive(PICKLE, STORAGE, method=zipfile.ZIP_LZMA), "not compressed by deflate"),
    "list": (archive(*MANY), "the list of members has"),
    "flipped": (
        archive(PICKLE, ("a/data/0", b"valuable"), change=lambda x: x.replace(b"valu", b"vain")),
        "w is damaged: its checksum is wrong",
    ),
    "half": (archive(PICKLE, STORAGE, change=lambda x: x[: len(x) // 2]), "not a zip file"),
    "no_end": (archive(PICKLE, STORAGE, change=lambda x: x[:-9]), "not a zip file"),
    "tar": (lambda path: path.write_bytes(bytes(257) + b"ustar" + bytes(762)), "is an archive"),
}
FILES = {
    **{
        f"gadget_{name}.pth": (
            saved({"w": called(name, COMMAND)}),
            f"pickle refers to '{name}'",
        )
        for name in (f"{module}.{name}" for module, names in GADGETS.items() for name in names)
    },
    **{f"opcode_{name}.pt": (opcodes(code), words) for name, (code, words) in OPCODES.items()},
    **{f"tensor_{name}.pth": row for name, row in TENSORS.items()},
    **{f"zip_{name}.pth": row for name, row in ZIPS.items()},
}
