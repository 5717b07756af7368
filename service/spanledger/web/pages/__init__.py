"""One module per page; each has a `router`."""

from spanledger.web.pages import conversation, explain, find, home, login, messages, trace

ROUTERS = [module.router for module in (home, messages, find, trace, conversation, explain, login)]
