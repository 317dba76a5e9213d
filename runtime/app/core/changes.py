"""What is worth a line: a name that came or went, a camera that is another than before; not thirty answers a second."""

from __future__ import annotations

from runtime.app.core.messages import Answer, Camera, Event


class Changes:
    """Remembers what was said last of each camera."""

    def __init__(self) -> None:
        self._stable: dict[str, str | None] = {}
        self._cameras: dict[str, tuple[str, str]] = {}

    def is_news(self, message: Event) -> bool:
        """Whether a message says something that the last one of its kind and camera did not."""
        if isinstance(message, Answer):
            news = message.camera not in self._stable or self._stable[message.camera] != message.stable
            self._stable[message.camera] = message.stable
            return news
        if isinstance(message, Camera):
            now = message.state, message.message
            news = self._cameras.get(message.id) != now
            self._cameras[message.id] = now
            return news
        return False
