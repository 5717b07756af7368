"""Everything that reads the books, and what operators ask: one router of several modules."""

from fastapi import APIRouter

from spanledger.api import books, conversations, health, traces, usage

router = APIRouter()
for _module in (health, conversations, usage, traces, books):
    router.include_router(_module.router)
