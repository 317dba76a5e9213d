"""Limits on request bodies."""

from __future__ import annotations

import asyncio

import pytest

from runtime.app.web.uploads import BodyTooLarge, TooBusy, Upload, Uploads


def body(*parts: bytes):
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)

    return receive


def test_a_body_is_refused_by_its_announced_length_or_when_it_goes_over():
    async def check():
        uploads = Uploads()
        with pytest.raises(BodyTooLarge, match="at most 10 bytes"):
            Upload({"headers": [(b"content-length", b"11")]}, body(), 10, uploads, counted=True)
        upload = Upload({"headers": []}, body(b"12345", b"123456"), 10, uploads, counted=True)
        await upload.receive()
        with pytest.raises(BodyTooLarge):
            await upload.receive()

    asyncio.run(check())


def test_over_the_budget_the_oldest_upload_is_ended():
    async def check():
        uploads = Uploads(budget=100)
        cancelled = []

        async def slow():
            upload = Upload({"headers": []}, body(b"x" * 80), 1000, uploads, counted=True)
            try:
                await upload.receive()
                await upload.receive()
            except asyncio.CancelledError:
                cancelled.append(upload.evicted)

        task = asyncio.create_task(slow())
        await asyncio.sleep(0.05)
        young = Upload({"headers": []}, body(b"x" * 60, b"x" * 60), 1000, uploads, counted=True)
        await young.receive()
        await task
        assert cancelled == [True]
        with pytest.raises(TooBusy):  # alone over the budget
            await young.receive()

    asyncio.run(check())
