"""`/conversations/{id}`: the messages, what each turn cost, and where the cost grew."""

from fastapi.responses import Response

from spanledger.web.page import PageOf, page_router

router = page_router()

TURNS = 100


@router.get("/conversations/{conversation_id}")
async def conversation(page: PageOf, conversation_id: str) -> Response:
    paging = {"limit": TURNS, "cursor": page.query.get("cursor")}
    head, messages, content, statement = await page.api.all(
        page.api.get("conversations", conversation_id),
        page.api.get("conversations", conversation_id, "messages", params=paging),
        page.api.maybe("conversations", conversation_id, "content", params=paging),
        page.api.maybe("conversations", conversation_id, "statement"),
    )
    analysis = await page.api.maybe("conversations", conversation_id, "analysis") if statement else None
    pieces = {item["message_id"]: item["pieces"] for item in (content or {}).get("items", [])}
    most = max((message["usage"]["input_tokens"] for message in messages["items"]), default=0)
    return page.render(
        "conversation.html",
        title=f"Conversation {conversation_id[:24]}",
        head=head,
        messages=messages,
        pieces=pieces,
        most=most,
        analysis=analysis,
        statement=statement,
        may_rate=page.principal.role in {"admin", "chat"},
    )
