"""Conversations on disk: LangGraph's SQLite checkpointer, kept small."""

from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from spanledger.workflows.history_file import FILE


async def open_history(folder: Path) -> AsyncSqliteSaver:
    """The checkpointer in `folder`, which exists. Close it with `close_history`; use it on this event loop only."""
    connection = await aiosqlite.connect(folder / FILE)
    try:
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        # With the write-ahead log this loses nothing when the process dies, only when the machine does.
        await connection.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        await connection.close()  # its thread would keep the process alive
        raise
    return saver


async def close_history(saver: AsyncSqliteSaver) -> None:
    await saver.conn.close()


async def forget_older(saver: AsyncSqliteSaver, config: dict[str, Any]) -> None:
    """Drops all checkpoints of the thread but the last: each holds the whole conversation, so keeping them all would
    let a conversation's size on disk grow with its square."""
    thread = (str(config["configurable"]["thread_id"]),)
    latest = "(SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)"
    async with saver.lock:
        for table in ("checkpoints", "writes"):
            await saver.conn.execute(
                f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < {latest}", thread * 2
            )
        await saver.conn.commit()
