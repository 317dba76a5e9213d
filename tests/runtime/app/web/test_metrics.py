"""State, health check and metrics say whether the gallery can be changed, and why not."""

from __future__ import annotations

import sqlite3

import pytest

from runtime.gallery import operations


@pytest.mark.parametrize(
    ("said", "condition"), [("database or disk is full", "disk full"), ("database is locked", "second writer")]
)
def test_a_failed_change_is_in_state_health_and_metrics_until_one_succeeds(live, tiny, monkeypatch, said, condition):
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError(said)

    def conditions() -> tuple[str, str, bool]:
        state = live.http.get("/api/v1/state").json()["gallery"]
        return state["state"], live.http.get("/healthz").json()["gallery"], state["writable"]

    assert conditions() == ("ok", "ok", True)
    with monkeypatch.context() as patch:
        patch.setattr(operations, "set_setting", refuse)
        assert live.http.put("/api/v1/stranger-rate", json={"rate": 0.1}).status_code == 507
    assert conditions() == (condition, condition, True)
    assert f'edgefs_gallery_state{{state="{condition}"}} 1.0' in live.http.get("/api/v1/metrics").text
    assert live.http.put("/api/v1/stranger-rate", json={"rate": 0.1}).status_code == 200
    assert conditions() == ("ok", "ok", True)


def test_whether_a_model_server_is_in_use_is_a_metric_where_there_is_one(live, monkeypatch):
    def served() -> list[str]:
        lines = live.http.get("/api/v1/metrics").text.splitlines()
        return [line for line in lines if line.startswith("edgefs_engine_served")]

    assert served() == []
    engine = live.service.recognizer.engine
    for value in (True, False):
        monkeypatch.setattr(engine, "served", value, raising=False)
        assert served() == [f"edgefs_engine_served {float(value)}"]
