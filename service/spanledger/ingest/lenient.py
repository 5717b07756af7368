"""Repairs text that is not UTF-8. Senders in languages without a string type do send it; the Collector takes it, and
refusing a whole batch for one byte would cost its other spans. Each bad byte sequence becomes U+FFFD.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from spanledger.ingest import probe
from spanledger.ingest.signals import SIGNALS

_FIELD = descriptor_pb2.FieldDescriptorProto


def _bytes_pool() -> tuple[descriptor_pool.DescriptorPool, frozenset[tuple[str, int]]]:
    """OTLP with bytes in place of strings, and which fields (message name, number) those are."""
    pool = descriptor_pool.DescriptorPool()
    texts: set[tuple[str, int]] = set()
    for module in probe.FILES:
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for field in message.field:
                if field.type == _FIELD.TYPE_STRING:
                    field.type = _FIELD.TYPE_BYTES
                    texts.add((f"{file.package}.{message.name}", field.number))
        pool.AddSerializedFile(file.SerializeToString())
    return pool, frozenset(texts)


_POOL, _TEXTS = _bytes_pool()


def repair_text(signal: str, body: bytes) -> bytes:
    """The same body with only UTF-8 in its strings. Raises DecodeError when it is malformed in another way."""
    root = SIGNALS[signal].request.DESCRIPTOR.full_name
    message = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(root)).FromString(body)
    _repair(message)
    return message.SerializeToString()


def _repair(message: Message) -> None:
    name = message.DESCRIPTOR.full_name
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for child in value if field.is_repeated else (value,):
                _repair(child)
        elif (name, field.number) in _TEXTS:
            if field.is_repeated:
                value[:] = [_utf8(text) for text in value]
            else:
                setattr(message, field.name, _utf8(value))


def _utf8(text: Any) -> bytes:
    return bytes(text).decode("utf-8", "replace").encode()
