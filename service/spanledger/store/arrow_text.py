"""Replaces invalid UTF-8 in query results.

A ClickHouse String holds any bytes, and a Collector may store bytes that are no UTF-8. pyarrow does not check them when
it reads a result; it raises when a value is used. One invalid value would then stop the settlement of a whole batch.
"""

import pyarrow as pa


def whole(table: pa.Table) -> pa.Table:
    """The table with U+FFFD in place of invalid bytes."""
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return pa.table([_repaired(column.combine_chunks()) for column in table.columns], table.schema)
    return table


def _repaired(values: pa.Array) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):  # of a table without rows
        return values
    kind = values.type
    if pa.types.is_string(kind):
        return _texts(values)
    if pa.types.is_map(kind):
        offsets, keys, items = values.offsets, _repaired(values.keys), _repaired(values.items)
        return pa.MapArray.from_arrays(offsets, keys, items, kind)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(values.offsets, _repaired(values.values), kind)
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        return pa.StructArray.from_arrays([_repaired(values.field(f.name)) for f in fields], fields=fields)
    return values


def _texts(values: pa.StringArray) -> pa.StringArray:
    plain = values.cast(pa.binary(), safe=False).to_pylist()
    return pa.array([None if one is None else one.decode(errors="replace") for one in plain], pa.string())
