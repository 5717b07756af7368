"""One module per page; each has a `router`."""

from spanledger.web.pages import (
    books,
    budgets,
    catalogue,
    conversation,
    costs,
    explain,
    find,
    home,
    live,
    login,
    messages,
    settings,
    sql,
    trace,
    users,
)

_MODULES = (home, messages, find, trace, conversation, explain, users, costs, live)
ROUTERS = [module.router for module in (*_MODULES, books, budgets, catalogue, sql, settings, login)]
