"""The assistant's tools: right to the digit, and harmless whatever they are given."""

import asyncio
import re

import pytest

from spanledger.workflows.tool import Tool
from spanledger.workflows.tools import ToolError
from spanledger.workflows.tools.builtin import CALCULATOR, CLOCK, CONVERT_UNITS, calculate, convert_units


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12*7", "84"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.3333333333333333333333333333"),
        ("2^10", "1024"),
        ("(1 + 2) * 3 - 4 / 5", "8.2"),
        ("-5 + +3", "-2"),
        ("7 // 2", "3"),
        ("7 % 4", "3"),
        ("6 ÷ 4 × 2", "3"),
        ("100", "100"),
        (5, "5"),
    ],
)
def test_arithmetic(expression: object, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "1/0",
        "9**9**9",
        "1e999",
        "10**1000 * 10**1000 ** 999",
        "(" * 300,
        "1" * 401,
        "__import__('os').getcwd()",
        "(1).__class__",
        "[1][0]",
        "x",
        "True",
        "'a' * 9",
        "(-8) ** 0.5",
        "0 ** 0",
        "",
        "\x00",
        None,
    ],
)
def test_what_is_not_arithmetic_is_refused(expression: object) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


@pytest.mark.parametrize(
    ("value", "source", "target", "said"),
    [
        (10, "km", "miles", "10 km = 6.213712 mi"),
        ("100", "C", "F", "100 °C = 212 °F"),
        (-40, "fahrenheit", "celsius", "-40 °F = -40 °C"),
        (1, "kg", "lb", "1 kg = 2.204623 lb"),
        (90, "min", "h", "90 min = 1.5 h"),
    ],
)
def test_units(value: object, source: str, target: str, said: str) -> None:
    assert convert_units(value, source, target) == said


@pytest.mark.parametrize(
    ("value", "source", "target"), [(1, "kg", "m"), (1, "parsec", "m"), ("nan", "m", "km"), ("x", "m", "km"), (1, 2, 3)]
)
def test_units_that_do_not_convert(value: object, source: object, target: object) -> None:
    with pytest.raises(ToolError):
        convert_units(value, source, target)


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"', "{}", '{"expression": "1", "more": 2}', "\x00"])
def test_arguments_that_do_not_fit(arguments: str) -> None:
    with pytest.raises(ToolError):
        asyncio.run(CALCULATOR.arguments(arguments))


def call(tool: Tool, arguments: str) -> object:
    return tool.run(**asyncio.run(tool.arguments(arguments)))


def test_calls_by_the_models_arguments() -> None:
    assert call(CALCULATOR, '{"expression": "6*7"}') == "42"
    assert call(CONVERT_UNITS, '{"value": 1, "from_unit": "m", "to_unit": "cm"}') == "1 m = 100 cm"
    assert re.fullmatch(r"\w+day \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", str(call(CLOCK, "")))
