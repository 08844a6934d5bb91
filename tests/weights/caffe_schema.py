"""Protobuf messages of Caffe: the parts of `caffe.proto` that describe weights."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "text": FIELD.TYPE_STRING,
    "int32": FIELD.TYPE_INT32,
    "int64": FIELD.TYPE_INT64,
    "float": FIELD.TYPE_FLOAT,
    "double": FIELD.TYPE_DOUBLE,
}
# {message: {field: (number, type, * if repeated)}}; repeated numbers are packed
SCHEMA = {
    "BlobShape": {"dim": (1, "int64", "*")},
    "BlobProto": {
        "num": (1, "int32"),
        "channels": (2, "int32"),
        "height": (3, "int32"),
        "width": (4, "int32"),
        "data": (5, "float", "*"),
        "diff": (6, "float", "*"),
        "shape": (7, "BlobShape"),
        "double_data": (8, "double", "*"),
    },
    "V0": {"name": (1, "text"), "type": (2, "text"), "blobs": (50, "BlobProto", "*")},
    "V1": {
        "layer": (1, "V0"),
        "bottom": (2, "text", "*"),
        "top": (3, "text", "*"),
        "name": (4, "text"),
        "type": (5, "int32"),
        "blobs": (6, "BlobProto", "*"),
    },
    "Layer": {"name": (1, "text"), "type": (2, "text"), "blobs": (7, "BlobProto", "*")},
    "Net": {"name": (1, "text"), "layers": (2, "V1", "*"), "layer": (100, "Layer", "*")},
}


def _net():
    """The class of messages of a net, in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="tests.proto", package="tests", syntax="proto2")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for key, (number, kind, *repeated) in fields.items():
            label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            one = message.field.add(name=key, number=number, label=label)
            one.type = KINDS.get(kind, FIELD.TYPE_MESSAGE)
            if kind not in KINDS:
                one.type_name = f".tests.{kind}"
            elif repeated and kind != "text":
                one.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.Net"))


Net = _net()


def net_of(layers, generation):
    """Return the message of a net: {layer: arrays}, generation "v0", "v1" or "new"."""
    net = Net(name="net")
    for name, arrays in layers.items():
        if generation == "new":
            layer = net.layer.add(name=name, type="Convolution")
        elif generation == "v1":
            layer = net.layers.add(name=name, type=4)
        else:
            layer = net.layers.add().layer
            layer.name, layer.type = name, "Convolution"
        for array in arrays:
            blob = layer.blobs.add(data=array.ravel())
            if generation == "new":
                blob.shape.dim[:] = array.shape
            else:
                sizes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sizes
    return net
