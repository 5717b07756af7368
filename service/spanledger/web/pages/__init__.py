"""One module per page; each has a `router`."""

from spanledger.web.pages import (
    books,
    budgets,
    catalogue,
    conversation,
    costs,
    erasures,
    explain,
    feedback,
    find,
    home,
    live,
    login,
    messages,
    prices,
    prompts,
    reconciliation,
    settings,
    sql,
    trace,
    users,
)

_MODULES = (home, messages, feedback, find, trace, conversation, explain, users, costs, live)
_MORE = (books, prices, reconciliation, budgets, catalogue, prompts, sql, settings, login, erasures)
ROUTERS = [module.router for module in (*_MODULES, *_MORE)]
