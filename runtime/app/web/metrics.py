"""Metrics for Prometheus. No class is named in them, because each label would be a time series for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from runtime.app.core.messages import Answer, GalleryCondition
from runtime.app.core.service import Service
from runtime.app.core.state import site_of

BUCKETS_MS = (1, 2, 5, 10, 20, 35, 50, 80, 120, 200, 500, 1000)


class Metrics:
    """Counts answers as they come; the other metrics are read when Prometheus asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("camera", "result")
        self._answers = Counter("edgefs_answers", "Answered frames", names, registry=self.registry)
        self._age = Histogram(
            *("edgefs_answer_age_ms", "From capture to answer, milliseconds", ("camera",)),
            buckets=BUCKETS_MS,
            registry=self.registry,
        )
        self._stages = Counter(
            *("edgefs_stage_ms", "Milliseconds spent in each stage", ("camera", "stage")),
            registry=self.registry,
        )

    def count(self, answer: Answer) -> None:
        """Count one answer."""
        self._answers.labels(answer.camera, "unknown" if answer.label is None else "known").inc()
        self._age.labels(answer.camera).observe(answer.age_ms)
        for stage, ms in answer.timings_ms.items():
            if stage != "total":
                self._stages.labels(answer.camera, stage).inc(ms)

    def watch(self, service: Service) -> None:
        """Read the cameras and the gallery of a service whenever Prometheus asks."""
        self.registry.register(_ServiceCollector(service))

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class _ServiceCollector(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        cameras = [self._service.camera(id_) for id_ in self._service.workers]
        states = GaugeMetricFamily("edgefs_camera_live", "Whether the camera is live", labels=["camera"])
        ages = GaugeMetricFamily("edgefs_frame_age_seconds", "Age of the newest frame", labels=["camera"])
        rates = GaugeMetricFamily("edgefs_camera_fps", "Frames a second, as measured", labels=["camera"])
        drops = GaugeMetricFamily("edgefs_camera_drops", "Captured frames that were not looked at", labels=["camera"])
        for camera in cameras:
            states.add_metric([camera.id], float(camera.state == "live"))
            drops.add_metric([camera.id], camera.drops)
            if camera.frame_age_s is not None:
                ages.add_metric([camera.id], camera.frame_age_s)
            if camera.fps is not None:
                rates.add_metric([camera.id], camera.fps)
        yield from (states, ages, rates, drops)
        classes = self._service.recognizer.gallery.classes
        yield GaugeMetricFamily("edgefs_classes", "Classes taught", value=len(classes))
        yield GaugeMetricFamily("edgefs_shots", "Shots kept", value=sum(len(c.ids) for c in classes.values()))
        conditions = GaugeMetricFamily("edgefs_gallery_state", "1 for the state of the gallery", labels=["state"])
        condition = self._service.gallery_condition()
        for name in get_args(GalleryCondition):
            conditions.add_metric([name], float(name == condition))
        yield conditions
        if (site := site_of(self._service.recognizer.gallery)) is not None:
            for name, text, value in (
                ("connected", "Whether the database of the site answered last", site.connected),
                ("unsent_changes", "Changes of this device that the site does not know yet", site.unsent),
                ("pictures_to_come", "Pictures that are still to be fetched from the site", site.crops_to_come),
                ("conflicts", "Changes that met others which their makers did not know", site.conflicts),
            ):
                yield GaugeMetricFamily(f"edgefs_site_{name}", text, value=float(value))
        served = getattr(self._service.recognizer.engine, "served", None)
        if served is not None:
            yield GaugeMetricFamily("edgefs_engine_served", "Whether the model server is in use", value=float(served))
        yield GaugeMetricFamily("edgefs_viewers", "Open event streams", value=self._service.hub.subscribers)
