"""Hostile legacy torch files: {file name: (function that writes the file, error message)}."""

from hostile_torch import COMMAND, GADGETS, OPCODES
from writers import FACTS, MAGIC, Code, called, legacy_of, named, pickled, tensor

TWO = {"0": (2, bytes(8))}


def saved(value, storages=TWO, **options):
    return lambda path: legacy_of(path, value, storages, **options)


def views(*arguments, storages=TWO, keys=None, **options):
    return saved({"w": tensor(*arguments, legacy=True, **options)}, storages, keys=keys)


def good(keys=None, **options):
    return saved({"w": tensor("0", (2,), legacy=True)}, keys=keys, **options)


def changed(change, write=None):
    """A file after a change of its bytes."""

    def written(path):
        (write or good())(path)
        path.write_bytes(change(path.read_bytes()))

    return written


def stored(count, content):
    return views("0", (2,), storages={"0": (count, content)})


def reference(*values):
    return Code(pickled(("storage", named("torch.FloatStorage"), *values)) + b"Q")


PICKLES = b"\x80\x02" + MAGIC + b".\x80\x02M\xe9\x03."
LIES = {
    # number of values
    "more_values": (stored(3, bytes(8)), "a storage has 3 values, expected 2"),
    "fewer_values": (stored(1, bytes(8)), "a storage has 1 value, expected 2"),
    "negative_values": (stored(-2, bytes(8)), "a storage has 18,446,744,073,709,551,614 values"),
    "huge_values": (
        views("0", (2,), length=2**60, storages={"0": (2**60, bytes(8))}),
        "bytes, expected 4,611,686,018,427,3",
    ),
    "larger_than_file": (
        views("0", (2,), length=2**28, storages={"0": (2**28, bytes(8))}),
        r"the file has \d+ bytes, expected 1,073,742,",
    ),
    "wide_values": (views("0", (2,), kind="Double"), r"the file has \d+ bytes, expected \d+;"),
    "negative_length": (
        saved({"w": reference("0", "cpu", -2, None)}),
        "a storage has a negative size",
    ),
    "no_length": (saved({"w": reference("0", "cpu", "2", None)}), "a storage has a negative size"),
    "two_lengths": (
        saved({name: tensor("0", (n,), legacy=True) for n, name in ((1, "v"), (2, "w"))}),
        "a storage has 2 values, expected 1|has 1 storage, expected 2",
    ),
    "two_types": (
        saved({kind: tensor("0", (2,), kind=kind, legacy=True) for kind in ("Float", "Int")}),
        "the file has 1 storage, expected 2",
    ),
    # list of storages
    "key_twice": (good(["0", "0"]), "the list of storages has a key twice"),
    "key_of_nothing": (good(["0", "1"]), "the list of storages has .* that no tensor"),
    "key_number": (good([0]), "the list of storages has .* that no tensor"),
    "key_list": (good([[["0"]]]), "the list of storages has .* that no tensor"),
    "no_key": (good([]), "the file has 0 storages, expected 1"),
    "no_list": (good("0"), "the file has 0 storages, expected 1"),
    "keys_of_dict": (good({"0": None}), "the file has 0 storages, expected 1"),
    "no_storage": (views("1", (2,), keys=["0"]), "the list of storages has .* that no tensor"),
    "missing": (
        saved({name: tensor(name, (2,), legacy=True) for name in "01"}),
        "the file has 1 storage, expected 2",
    ),
    "outside": (views("../../outside/secret", (2,), keys=[]), "the file has 0 storages"),
    "keys_gadget": (good(called("os.system", COMMAND)), "pickle refers to 'os.system'"),
    # tensors
    "view": (
        saved({"w": reference("0", "cpu", 2, ("1", 0, 2))}),
        "or is part of another storage",
    ),
    "module": (
        saved(Code(pickled(("module", named("torch.FloatStorage"), "a.py", "code")) + b"Q")),
        "not enough values",
    ),
    "shape": (views("0", (3,), length=2), r"shape \(3,\) needs more than the 2 values"),
    "offset": (views("0", (2,), offset=1, length=2), r"shape \(2,\) needs more than the 2 values"),
    "repeated": (views("0", (2**40,), (0,), length=2), "needs more than the 2 values"),
    "shared": (
        saved(
            {f"w{n}": tensor("0", (2**20,), legacy=True) for n in range(50)},
            {"0": (2**20, bytes(2**22))},
        ),
        "parts of much larger storages",
    ),
    "list": (saved([tensor("0", (2,), legacy=True)]), "expected a dictionary of tensors"),
    "numbers": (saved({"epoch": 3}, {}), "it contains no arrays"),
    "set_state": (
        saved(Code(named("torch.nn.parameter.Parameter") + b"}b")),
        "the opcode BUILD for a value of type Name",
    ),
    # head and end
    "magic_alone": (changed(lambda x: x[:15]), "the pickle has no end"),
    "big_endian": (good(facts={**FACTS, "little_endian": False}), "byte order is not little"),
    "no_facts": (good(facts={}), "byte order is not little"),
    "facts_of_text": (good(facts="little_endian"), "not in torch's legacy form, version 1001"),
    "facts_gadget": (good(facts=called("os.system", COMMAND)), "pickle refers to 'os.system'"),
    "version": (good(version=1002), "not in torch's legacy form, version 1001"),
    "version_gadget": (
        good(version=called("os.system", COMMAND)),
        "pickle refers to 'os.system'",
    ),
    "half": (
        changed(lambda x: x[: len(x) // 2]),
        "the file ends within a name|the pickle has no end|not enough",
    ),
    "cut_name": (changed(lambda x: x[: x.index(b"FloatS")]), "the file ends within a name"),
    "no_values": (changed(lambda x: x[:-8]), r"the file has \d+ bytes, expected \d+;"),
    "no_count": (changed(lambda x: x[:-12]), r"the file has \d+ bytes, expected \d+;"),
    "cut": (changed(lambda x: x[:-1]), r"the file has \d+ bytes, expected \d+;"),
    "longer": (changed(lambda x: x + b"\0"), r"the file has \d+ bytes, expected \d+;"),
    "twice": (changed(lambda x: x * 2), r"the file has \d+ bytes, expected \d+;"),
    "long_pickle": (
        lambda path: path.write_bytes(PICKLES + (b"\x80\x02" + b"N" * 400_000 + b".") * 50),
        "or more than 500,000 opcodes",
    ),
}
# pickles with the same errors in both forms
SAME = ("deep_key", "folded_key", "itself", "twice", "huge_text", "many_opcodes", "underflow")
FILES = {
    **{
        f"legacy_gadget_{name}.th": (
            saved({"w": called(name, COMMAND)}),
            f"pickle refers to '{name}'",
        )
        for name in (f"{module}.{name}" for module, names in GADGETS.items() for name in names)
    },
    **{f"legacy_{name}.th": (saved(Code(OPCODES[name][0]), {}), OPCODES[name][1]) for name in SAME},
    **{f"legacy_lie_{name}.pth": row for name, row in LIES.items()},
}
