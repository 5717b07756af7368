"""The tools that are always here. All work on this machine alone; each takes keyword arguments and returns text."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, DecimalException, InvalidOperation, localcontext
from typing import Any

from spanledger.foreign import amounts
from spanledger.workflows.tool import Tool, ToolError

_PRECISION = 28
_MAX_EXPRESSION = 400
_MAX_EXPONENT = 1_000


def calculate(expression: Any) -> str:
    """The value of an arithmetic expression, to 28 digits."""
    text = str(expression).replace("^", "**").replace("×", "*").replace("÷", "/")
    if len(text) > _MAX_EXPRESSION:
        raise ToolError(f"the expression is longer than {_MAX_EXPRESSION} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        with localcontext(Context(prec=_PRECISION, rounding=ROUND_HALF_EVEN)) as context:
            context.traps[InvalidOperation] = True
            value = _value(tree.body)
    except ZeroDivisionError as exc:
        raise ToolError("division by zero") from exc
    except (SyntaxError, ValueError, RecursionError, MemoryError, DecimalException) as exc:
        raise ToolError(f"{text[:80]!r} is not an arithmetic expression that can be calculated") from exc
    if not value.is_finite():
        raise ToolError("the value is too large")
    return _plain(value)


def convert_units(value: Any, from_unit: Any, to_unit: Any) -> str:
    """`value` in another unit of the same kind."""
    amount = amounts.parse(value)
    if amount is None:
        raise ToolError(f"{str(value)[:40]!r} is not a number, or out of range")
    source, target = _unit(from_unit), _unit(to_unit)
    if source.kind != target.kind:
        raise ToolError(f"{source.name} measures {source.kind}, {target.name} measures {target.kind}")
    with localcontext(Context(prec=_PRECISION)):
        result = (amount * source.factor + source.offset - target.offset) / target.factor
        rounded = result.quantize(Decimal("1e-6")) if abs(result) < Decimal(10) ** 20 else result
    return f"{_plain(amount)} {source.name} = {_plain(rounded)} {target.name}"


def clock() -> str:
    """Date and time, UTC."""
    return datetime.now(UTC).strftime("%A %Y-%m-%d %H:%M:%S UTC")


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str
    kind: str
    factor: Decimal  # to the kind's base unit
    offset: Decimal = Decimal(0)  # added after the factor


def _units() -> dict[str, _Unit]:
    found: dict[str, _Unit] = {}
    table: Mapping[str, Mapping[str, str]] = {
        "length": {
            "m metre meter metres meters": "1",
            "km kilometre kilometer kilometres kilometers": "1000",
            "cm centimetre centimeter centimetres centimeters": "0.01",
            "mm millimetre millimeter millimetres millimeters": "0.001",
            "mi mile miles": "1609.344",
            "ft foot feet": "0.3048",
            "in inch inches": "0.0254",
        },
        "mass": {
            "kg kilogram kilograms kilo kilos": "1",
            "g gram grams": "0.001",
            "lb pound pounds lbs": "0.45359237",
            "oz ounce ounces": "0.028349523125",
        },
        "volume": {
            "l litre liter litres liters": "1",
            "ml millilitre milliliter": "0.001",
            "gal gallon gallons": "3.785411784",
        },
        "time": {
            "s second seconds": "1",
            "min minute minutes": "60",
            "h hour hours": "3600",
            "d day days": "86400",
        },
    }
    for kind, units in table.items():
        for names, factor in units.items():
            short, *others = names.split()
            for name in (short, *others):
                found[name] = _Unit(short, kind, Decimal(factor))
    celsius = _Unit("°C", "temperature", Decimal(1))
    # As fractions of a kelvin-sized degree: °F = (°C × 9 + 160) / 5
    fahrenheit = _Unit("°F", "temperature", Decimal(5) / Decimal(9), Decimal(-160) / Decimal(9))
    for name in ("c", "°c", "celsius"):
        found[name] = celsius
    for name in ("f", "°f", "fahrenheit"):
        found[name] = fahrenheit
    return found


_UNITS = _units()


def _unit(name: Any) -> _Unit:
    unit = _UNITS.get(str(name).strip().lower())
    if unit is None:
        raise ToolError(f"unknown unit {str(name)[:40]!r}")
    return unit


def _value(node: ast.AST) -> Decimal:
    """Numbers, + − * / // % **, brackets; nothing else exists here, so nothing else can be reached."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Decimal(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combined(operator, _value(left), _value(right))
    raise ValueError("not arithmetic")


def _combined(operator: ast.operator, left: Decimal, right: Decimal) -> Decimal:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return left // right
        case ast.Mod():
            return left % right
        case ast.Pow() if abs(right) <= _MAX_EXPONENT:
            return left**right
    raise ValueError("not arithmetic")


def _plain(value: Decimal) -> str:
    """Without exponent or trailing zeros."""
    if value.is_finite() and -30 < value.adjusted() < 30:
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


CALCULATOR = Tool(
    "calculator",
    "Calculates an arithmetic expression exactly.",
    {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "for example (12.5 + 3) * 7"}},
        "required": ["expression"],
        "additionalProperties": False,
    },
    calculate,
)
CONVERT_UNITS = Tool(
    "convert_units",
    "Converts a length, mass, volume, time or temperature into another unit.",
    {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            "from_unit": {"type": "string", "description": "for example km"},
            "to_unit": {"type": "string", "description": "for example miles"},
        },
        "required": ["value", "from_unit", "to_unit"],
        "additionalProperties": False,
    },
    convert_units,
)
CLOCK = Tool(
    "clock",
    "The current date and time, UTC.",
    {"type": "object", "properties": {}, "additionalProperties": False},
    clock,
)
BUILTIN: tuple[Tool, ...] = (CALCULATOR, CONVERT_UNITS, CLOCK)
