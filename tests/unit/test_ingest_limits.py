"""What a sender may ask of the door, by a clock of our own and at the door itself."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from otlp_make import trace_request
from spanledger.errors import SettingsError
from spanledger.ingest.limits import Limited, Limits, Quota
from spanledger.ingest.service import Ingest
from spanledger.settings import Settings, load
from spanledger.store.client import Store
from system import free_port

PROTOBUF = {"Content-Type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spend(limits: Limits, sender: str = "a", announced: int = 0, quota: Quota | None = None) -> None:
    with limits.request(sender, announced, quota):
        pass


def refused(limits: Limits, sender: str = "a", announced: int = 0) -> float:
    """After how many seconds the refused request fits."""
    with pytest.raises(Limited) as caught:
        spend(limits, sender, announced)
    return caught.value.retry_after


def test_no_quota_is_no_limit(clock: Clock) -> None:
    limits = Limits(Quota(), clock)
    for _ in range(10_000):
        spend(limits, announced=10**9)


def test_a_seconds_worth_of_requests_may_come_at_once_and_the_next_waits_its_turn(clock: Clock) -> None:
    limits = Limits(Quota(requests_per_s=4), clock)
    for _ in range(4):
        spend(limits)
    wait = refused(limits)
    assert wait == pytest.approx(0.25)
    clock.now += wait
    spend(limits)
    assert refused(limits) == pytest.approx(0.25)


def test_a_rate_below_one_a_second_lets_one_through(clock: Clock) -> None:
    limits = Limits(Quota(requests_per_s=0.1), clock)
    spend(limits)
    assert refused(limits) == pytest.approx(10)


def test_senders_do_not_pay_for_each_other(clock: Clock) -> None:
    limits = Limits(Quota(requests_per_s=1), clock)
    spend(limits, "a")
    refused(limits, "a")
    spend(limits, "b")


def test_bytes_are_paid_when_announced_and_what_was_not_announced_when_it_comes(clock: Clock) -> None:
    limits = Limits(Quota(bytes_per_s=100), clock)
    spend(limits, announced=60)
    assert refused(limits, announced=60) == pytest.approx(0.2)
    with limits.request("a", 40) as allowance:
        for size in (30, 10, 50, 100):  # 150 more than announced
            allowance.received(size)
    assert refused(limits, announced=10) == pytest.approx(1.6)


def test_a_body_larger_than_a_seconds_worth_fits_into_a_full_bucket(clock: Clock) -> None:
    limits = Limits(Quota(bytes_per_s=100), clock)
    spend(limits, announced=350)
    assert refused(limits, announced=1) == pytest.approx(2.51)
    clock.now += 2.52
    spend(limits, announced=1)


def test_requests_at_a_time(clock: Clock) -> None:
    limits = Limits(Quota(concurrent=2), clock)
    with ExitStack() as running:
        running.enter_context(limits.request("a"))
        with limits.request("a"):
            assert refused(limits) > 0
            spend(limits, "b")
        spend(limits)
    with pytest.raises(RuntimeError), limits.request("a"):
        raise RuntimeError("a request that fails has ended too")
    with limits.request("a"), limits.request("a"):
        pass


def test_a_sender_may_have_a_quota_of_its_own_that_changes(clock: Clock) -> None:
    limits = Limits(Quota(concurrent=1), clock)
    wide, narrow = Quota(concurrent=3), Quota(concurrent=2)
    with limits.request("a", quota=wide), limits.request("a", quota=wide):
        with pytest.raises(Limited):
            spend(limits, quota=narrow)
        spend(limits, quota=wide)
    spend(limits, quota=narrow)


def test_a_clock_that_jumps_back_costs_nobody_anything(clock: Clock) -> None:
    limits = Limits(Quota(requests_per_s=2), clock)
    spend(limits)
    clock.now -= 3600
    spend(limits)
    assert refused(limits) == pytest.approx(0.5)


def test_many_senders_are_not_remembered_for_ever(clock: Clock) -> None:
    limits = Limits(Quota(requests_per_s=1), clock)
    for number in range(100_000):
        spend(limits, f"sender-{number}")
        clock.now += 0.1
    assert len(limits._senders) <= 1024 + 10


@pytest.fixture
def door(store: Store, tmp_path: Path) -> Iterator[tuple[Ingest, Settings]]:
    options = Settings(data_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=free_port(), sender_requests_per_s=0.01)
    ingest = Ingest(options, store)
    ingest.start()
    yield ingest, options
    ingest.stop()


def test_the_door_says_429_and_when_to_come_again(door: tuple[Ingest, Settings]) -> None:
    ingest, options = door
    body = trace_request({}).SerializeToString()
    with httpx.Client(base_url=ingest.endpoint) as client:
        assert client.post("/v1/traces", content=body, headers=PROTOBUF).status_code == 200
        answer = client.post("/v1/traces", content=body, headers=PROTOBUF)
        assert answer.status_code == 429
        assert 90 < int(answer.headers["Retry-After"]) <= 100
        status = status_pb2.Status.FromString(answer.content)
        assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert "0.01 requests a second" in status.message
    retry = error_details_pb2.RetryInfo()
    with grpc.insecure_channel(f"127.0.0.1:{options.otlp_grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as refusal:
            channel.unary_unary(EXPORT)(body)
        assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        details = dict(refusal.value.trailing_metadata())["grpc-status-details-bin"]
        assert status_pb2.Status.FromString(details).details[0].Unpack(retry)
        assert 90 < retry.retry_delay.seconds <= 100
    assert ingest.flush(30)
    assert ingest.health()["answers"] == {"200": 1, "429": 2}


@pytest.mark.parametrize("name", ["SENDER_REQUESTS_PER_S", "SENDER_BYTES_PER_S", "SENDER_CONCURRENT_REQUESTS"])
@pytest.mark.parametrize("value", ["-1", "many", "inf"])
def test_a_limit_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower() + "|" + name):
        load({f"SPANLEDGER_{name}": value})
