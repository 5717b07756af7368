"""Random reading statements whose expressions fail or differ on rows that a tenant must not see."""

import random
from dataclasses import dataclass

TABLES = {
    "document_chunks": ("text", "document_id", "chunk"),
    "ledger": ("model", "trace_id", "llm_calls"),
    "messages": ("user_id", "message_id", "duration_ns"),
    "genai_spans": ("span_name", "span_id", "duration_ns"),
    "otel_logs": ("Body", "TraceId", "SeverityNumber"),
}
# Of a text that is a number among one's own rows: each fails on other texts, or tells them apart.
_THROWING = (
    "toUInt64({c})",
    "toInt8({c})",
    "toFloat64({c})",
    "toDecimal64({c}, 3)",
    "throwIf({c} LIKE '%words%')",
    "throwIf(length({c}) > 3, 'found')",
    "intDiv(100, 24 - length({c}))",
    "modulo(7, length({c}) - 24)",
    "CAST({c} AS Enum8('1' = 1, '2' = 2, '3' = 3, '4' = 4, '5' = 5))",
    "accurateCast({c}, 'UInt8')",
    "[1, 2, 3][toUInt8({c})]",
    "parseDateTimeBestEffort(concat('2026-01-0', {c}))",
    "JSONExtract({c}, 'UInt8')",
    "toIPv4(concat('1.1.1.', {c}))",
    "toUUID(concat('00000000-0000-0000-0000-00000000000', {c}))",
    "reinterpretAsUInt64({c})",
    "cityHash64({c})",
    "length({c})",
    "arrayMap(x -> toUInt64(x), [{c}])[1]",
    "arrayReduce('sum', [toUInt64({c})])",
    "toUInt64(extract({c}, '[a-z]+|[0-9]+'))",
    "CAST({c}, 'UInt16')",
    "repeat('x', toUInt64({c}))",
    "range(toUInt64({c}))[1]",
    "tupleElement(tuple(toUInt64({c})), 1)",
    "toUInt64OrNull({c})",
    "positionCaseInsensitive({c}, 'words')",
)
_GUARDS = (
    "{e}",
    "if({t} = 'other', {e}, {e0})",
    "if({t} != 'mine', {e}, {e0})",
    "multiIf({t} = 'other', {e}, {e0})",
    "ifNull({e}, {e0})",
    "({t} = 'other' AND toBool(assumeNotNull({e}) != {e0}))",
    "({t} = 'mine' OR toBool(assumeNotNull({e}) != {e0}))",
    "materialize({e})",
    "identity({e})",
)


@dataclass
class Grammar:
    """`statement()` gives the next one; alike for alike seeds."""

    random: random.Random

    def statement(self) -> str:
        table = self.random.choice(sorted(TABLES))
        form = self.random.choice(_FORMS)
        other = self.random.choice(sorted(TABLES))
        final = self.random.choice(("", " FINAL")) if table not in ("ledger", "otel_logs") else ""
        return form.format(
            t=table,
            f=final,
            k=TABLES[table][1],
            n=TABLES[table][2],
            c=TABLES[table][0],
            e=self.expression(table),
            e2=self.expression(table),
            p=self.condition(table),
            p2=self.condition(table),
            o=other,
            ok=TABLES[other][1],
            oe=self.expression(other),
            op=self.condition(other),
            qe=self.expression(table, "l."),
            qoe=self.expression(other, "r."),
            qt=f"l.{_tenant(table)}",
            qot=f"r.{_tenant(other)}",
            x=_tenant(table),
        )

    def expression(self, table: str, prefix: str = "") -> str:
        column, tenant = prefix + TABLES[table][0], prefix + _tenant(table)
        picked = self.random.choice(_THROWING)
        inner = picked.format(c=column)
        if self.random.random() < 0.2:
            inner = f"toString({inner})"
            plain = f"toString({picked.format(c=repr('1'))})"
        else:
            plain = picked.format(c="'1'")
        guard = self.random.choice(_GUARDS)
        return guard.format(t=tenant, e=inner, e0=plain)

    def condition(self, table: str) -> str:
        expression = self.expression(table)
        return self.random.choice(
            (
                f"{expression} IS NOT NULL",
                f"toString({expression}) != 'nothing'",
                f"ignore({expression}) = 0",
                f"isNotNull({expression}) AND 1",
                f"NOT ({_tenant(table)} = 'other' AND toString({expression}) = 'x')",
                f"notEmpty(toString({expression}))",
            )
        )


def _tenant(table: str) -> str:
    return "Tenant" if table.startswith("otel_") else "tenant"


_FORMS = (
    "SELECT {e} FROM {t}{f}",
    "SELECT count() FROM {t}{f} WHERE {p}",
    "SELECT count() FROM {t}{f} PREWHERE {p}",
    "SELECT count(), max({k}) FROM {t}{f} PREWHERE {p} WHERE {p2}",
    "SELECT sum(cityHash64(toString({e}))) FROM {t}{f} WHERE {p}",
    "SELECT {e} AS q, count() FROM {t}{f} GROUP BY q HAVING count() > 0",
    "SELECT {k} FROM {t}{f} ORDER BY toString({e}), {k} LIMIT 3",
    "SELECT {k} FROM {t}{f} ORDER BY {k} LIMIT 1 BY toString({e})",
    "SELECT count() FROM {t}{f} WHERE {k} IN (SELECT {ok} FROM {o} WHERE {op})",
    "SELECT count() FROM {t}{f} WHERE toString({e}) IN (SELECT toString({oe}) FROM {o} PREWHERE {op})",
    "SELECT count() FROM {t} AS l JOIN {o} AS r ON {qt} = {qot} AND toString({qe}) = toString({qoe})",
    "SELECT count() FROM {t} AS l LEFT JOIN {o} AS r ON {qt} = {qot} AND toString({qe}) != ''",
    "SELECT count() FROM {t} AS l INNER JOIN {o} AS r ON l.{k} = r.{ok} WHERE toString({qe}) = toString({qoe})",
    "SELECT count() FROM {t} AS l CROSS JOIN {o} AS r WHERE toString({qe}) = toString({qoe})",
    "SELECT count() FROM {t}{f} ARRAY JOIN [toString({e}), 'a'] AS q WHERE q != ''",
    "SELECT q, count() FROM {t}{f} ARRAY JOIN arrayMap(y -> y || toString({e}), ['a']) AS q GROUP BY q",
    "SELECT (SELECT count() FROM {t}{f} WHERE {p})",
    "SELECT (SELECT max(toString({e})) FROM {t}{f})",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {t}{f} WHERE {p} AND {x} = 'other')",
    "WITH q AS (SELECT toString({e}) AS a FROM {t}{f}) SELECT count(), max(a) FROM q",
    "WITH toString({e}) AS a SELECT max(a) FROM {t}{f} WHERE {p}",
    "SELECT count() FROM {t} WHERE {p} UNION ALL SELECT count() FROM {o} WHERE {op}",
    "SELECT count() OVER (PARTITION BY toString({e})) FROM {t}{f}",
    "SELECT {k} FROM {t}{f} QUALIFY row_number() OVER (ORDER BY toString({e}), {k}) = 1",
    "SELECT countIf({p}), sumIf(1, {p2}), uniqExact(toString({e})) FROM {t}{f}",
    "SELECT quantileExact(0.5)(cityHash64(toString({e}))) FROM {t}{f} WHERE {x} != 'nobody'",
    "SELECT min(a) FROM view(SELECT toString({e}) AS a FROM {t}{f} WHERE {p})",
    "SELECT count() FROM {t}{f} WHERE {x} = 'other'",
    "SELECT count() FROM {t}{f} WHERE {x} = 'other' AND {p}",
    "SELECT groupUniqArray({x}) FROM {t}{f} WHERE {p}",
    "SELECT {x}, count() FROM {t}{f} GROUP BY {x} WITH TOTALS",
    "SELECT {x}, {c} FROM {t}{f} ORDER BY {k}",
    "SELECT toString({e}) FROM (SELECT * FROM {t}{f}) WHERE {p}",
    "SELECT count() FROM {t}{f} GROUP BY GROUPING SETS ((toString({e})), ({x}))",
    "SELECT * FROM (SELECT {k}, {c} FROM {t}{f} WHERE {p}) ORDER BY {k} LIMIT 2",
    "EXPLAIN SELECT (SELECT max(toString({e})) FROM {t}{f})",
    "EXPLAIN estimate SELECT {k} FROM {t}{f} WHERE {p}",
    "EXPLAIN indexes = 1 SELECT {k} FROM {t}{f} WHERE {k} = '1' AND {p}",
    "SELECT count() FROM {t}{f} WHERE ({x}, {k}) IN (SELECT 'other', {ok} FROM {o})",
    "SELECT count() FROM {t}{f} ORDER BY count() LIMIT toUInt8(1)",
)
