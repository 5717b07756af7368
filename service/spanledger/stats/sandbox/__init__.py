"""Read-only SQL for people, behind a barrier.

A person's statement runs in a process of its own (`engine`) with an empty engine of its own. That process is given
copies of the rows of one tenant and nothing else, so no expression of the statement can be evaluated on other rows.
The process may read no file of the data folder, has no network where the kernel can enforce that, and is killed when
it exceeds its time or memory, or when its client goes away.

- inspection  what a statement consists of, and what is refused
- schema      the tables that are open, and their definitions in the process
- source      the copy of a tenant's rows: columns, rows and bytes are bounded
- engine      the program of the process
- child       the process as its owner sees it
- sandbox     all of it together, for one tenant
- direct      the operator's statements on the main engine, when a copy would be too large
"""
