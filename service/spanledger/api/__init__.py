"""The HTTP API.

How to add a route
------------------
1. The handler's name is the operation id: a verb and what it is about (`list_conversations`, `get_audit`,
   `create_repricing`, `put_agent`, `delete_key`). Its docstring is the description. The router has one tag, whose text
   stands in `openapi.py`.
2. Every parameter is declared. Shared ones stand in `parameters.py` (`Window`, `Cursor`, `Filters`, `MessageId` …);
   others are `Annotated[…, Query(description=…, examples=[…])]` with bounds. An undeclared parameter is refused
   by `refuse_unclear` for all routes, so no handler looks at `request.query_params`.
3. The answer is a named type: a dataclass of `stats/`, or a model of `schemas/` (`Items[X]` and `Page[X]` for lists).
   Times, money and texts that may be unknown have the types of `stats/fields.py`: RFC 3339, a decimal text, and
   null. A route that returns a `Response` of its own still names the model (`response_model=`, `responses=`).
4. Errors are raised from `errors.py`, never returned: `BadRequest` is 422, `NotFound` 404, `Refused` 403. `openapi.py`
   adds the problems that every route may answer; others are declared with `responses={409: {"model": Problem}}`.
5. Reading routes take `Reads` (store and tenant), routes that need a part of the service take `Parts` or `AppServices`,
   and `Caller` says who asks. The tenant is always the caller's; it is never a parameter.
6. `POST` that makes something answers 201 or 202, `PUT` 200, `DELETE` 204 (`**NO_CONTENT`).
7. Then renew the snapshot: `make openapi`. `tests/api/test_openapi.py` holds it, and the tests of tenants and roles
   (`test_matrix.py`) and the fuzzer read the new route from it.
"""
