"""Compares our protocol subset with the descriptors inside the official Python package.

Usage: check.py DESCRIPTORS. Prints one line per difference and exits 1 if there is one. `cargo xtask drift` runs it in a
virtual environment that holds the pinned package.
"""

import sys
from importlib.metadata import version

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from modal_proto import api_pb2, task_command_router_pb2

PINNED = "1.6.4"

# Messages that our side names as a field's type only: all of their fields are left out on purpose.
NAMED_ONLY = {
    "modal.client.BuildFunction",
    "modal.client.CommitInfo",
    "modal.client.OutboundPolicy",
    "modal.client.SandboxGetStatsResponse.ResourceStats",
    "modal.client.StatsPercentileDistribution",
    "modal.client.TaskProgress",
}
# Single fields left out on purpose.
LEFT_OUT = {
    "modal.client.Image.build_function_def",
    "modal.client.Image.build_function_globals",
}


class Schema:
    """What one side's files declare, by full name."""

    def __init__(self, files):
        self.fields, self.values, self.methods, self.messages, self.enums = {}, {}, {}, set(), set()
        for file in files:
            for message in file.message_type:
                self.add_message(file.package, message)
            for enum in file.enum_type:
                self.add_enum(file.package, enum)
            for service in file.service:
                for method in service.method:
                    shape = (method.input_type, method.output_type, method.client_streaming, method.server_streaming)
                    self.methods[f"{file.package}.{service.name}/{method.name}"] = shape

    def add_message(self, prefix, message):
        name = f"{prefix}.{message.name}"
        self.messages.add(name)
        for field in message.field:
            self.fields[f"{name}.{field.name}"] = field_shape(message, field)
        for nested in message.nested_type:
            self.add_message(name, nested)
        for enum in message.enum_type:
            self.add_enum(name, enum)

    def add_enum(self, prefix, enum):
        name = f"{prefix}.{enum.name}"
        self.enums.add(name)
        for value in enum.value:
            self.values[f"{name}.{value.name}"] = value.number


def field_shape(message, field):
    oneof = ""
    if field.HasField("oneof_index") and not field.proto3_optional:
        oneof = message.oneof_decl[field.oneof_index].name
    return (
        f"number {field.number}",
        FieldDescriptorProto.Type.Name(field.type),
        field.type_name,
        FieldDescriptorProto.Label.Name(field.label),
        "optional" if field.proto3_optional else "",
        f"oneof {oneof}" if oneof else "",
    )


def owner(name):
    return name.rsplit(".", 1)[0]


def compare(kind, ours, official):
    for name, shape in sorted(ours.items()):
        if name not in official:
            yield f"{kind} {name}: not in the official package"
        elif shape != official[name]:
            yield f"{kind} {name}: ours is {shape}, official is {official[name]}"


def missing(ours, official):
    """What the official side has inside a message or enum of ours and we have not: it would be lost in silence."""
    for name in sorted(official.fields):
        if owner(name) in ours.messages - NAMED_ONLY and name not in ours.fields and name not in LEFT_OUT:
            yield f"field {name}: missing on our side, official is {official.fields[name]}"
    for name in sorted(official.values):
        if owner(name) in ours.enums and name not in ours.values:
            yield f"enum value {name}: missing on our side, official is {official.values[name]}"


def differences(ours, official):
    for kind, names, others in (
        ("message", ours.messages, official.messages),
        ("enum", ours.enums, official.enums),
    ):
        for name in sorted(names - others):
            yield f"{kind} {name}: not in the official package"
    yield from compare("field", ours.fields, official.fields)
    yield from compare("enum value", ours.values, official.values)
    yield from compare("method", ours.methods, official.methods)
    yield from missing(ours, official)


def official_files():
    for module in (api_pb2, task_command_router_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        yield file


def own_files(path):
    with open(path, "rb") as descriptors:
        files = FileDescriptorSet.FromString(descriptors.read()).file
    return [file for file in files if file.package.startswith("modal.")]


def self_check(files, official):
    """Fails unless a changed number, name, label, enum value or method of ours is seen as a difference."""
    changes = {
        "field number": lambda file: assign(file.message_type[0].field[0], "number", 999),
        "field name": lambda file: assign(file.message_type[0].field[0], "name", "renamed"),
        "field label": lambda file: assign(file.message_type[0].field[0], "label", 3),
        "enum value": lambda file: assign(file.enum_type[0].value[-1], "number", 999),
        "method": lambda file: assign(file.service[0].method[0], "server_streaming", True),
        "missing field": lambda file: file.message_type[0].field.pop(),
    }
    for what, change in changes.items():
        copies = [FileDescriptorProto.FromString(file.SerializeToString()) for file in files]
        change(copies[0])
        if not any(differences(Schema(copies), official)):
            sys.exit(f"the check is blind: it does not see a changed {what}")


def assign(descriptor, attribute, value):
    setattr(descriptor, attribute, value)


def main():
    if version("modal") != PINNED:
        sys.exit(f"the official package is {version('modal')}, the subset is pinned to {PINNED}")
    files = own_files(sys.argv[1])
    ours, official = Schema(files), Schema(official_files())
    self_check(files, official)
    found = list(differences(ours, official))
    for line in found:
        print(line)
    counted = f"{len(ours.messages)} messages, {len(ours.fields)} fields, {len(ours.values)} enum values"
    print(f"{counted}, {len(ours.methods)} methods compared with modal {PINNED}: {len(found)} differences")
    if not ours.fields or not ours.methods or found:
        sys.exit(1)


if __name__ == "__main__":
    main()
