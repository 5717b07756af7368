"""Advice for errors of a ClickHouse server: the setting or right that its message points to."""

_URL = "--clickhouse-url (SPANLEDGER_CLICKHOUSE_URL)"
_FIXES = {
    "AUTHENTICATION_FAILED": f"mend user or password in {_URL}: the server's are in users.d/spanledger.xml",
    "UNKNOWN_DATABASE": f"CREATE DATABASE there, or mend the name at the end of {_URL}",
    "is for clickhouse-client program": f"give the server's HTTP port (8123) in {_URL}, not its native one",
    "Connection refused": f"is the server running, are host and port of {_URL} right?",
    "Name or service not known": f"mend the host in {_URL}",
    "ACCESS_DENIED": "`up` needs the rights of spanledger_app, `migrate` those of spanledger_admin",
}


def with_fix(message: str) -> str:
    """The message of a refusal and, if known, what to do about it."""
    fix = next((fix for word, fix in _FIXES.items() if word in message), "")
    return f"{message}; {fix}" if fix else message
