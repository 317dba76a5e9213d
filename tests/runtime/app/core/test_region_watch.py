"""Named regions: each has an answer of its own, and they outlive a restart."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.messages import FrameRegion, NamedRegion, RegionAnswer
from runtime.app.core.regions import CameraRegions, Regions
from runtime.app.core.service import Service
from runtime.camera import FakeCamera, Frame, realtime
from runtime.errors import OptionError
from runtime.recognizer import Recognizer

LEFT, RIGHT = FrameRegion(0, 0, 0.5, 1), FrameRegion(0.5, 0, 0.5, 1)
BOTH = [NamedRegion("left", LEFT), NamedRegion("right", RIGHT)]


@pytest.fixture
def service(tiny, tiny_bundle, tmp_path):
    """A service that knows two things, on one camera that is not read."""
    with Recognizer(tiny_bundle, gallery=tmp_path / "shop.db", engine="onnxruntime", threads=1) as recognizer:
        recognizer.enroll("mug", tiny.views(0, 12))
        recognizer.enroll("cup", tiny.views(2, 12))
        source = CameraSource("shelf", lambda: realtime(FakeCamera([])))
        service = Service(recognizer, [source], device="test")
        yield service
        service.close()


def answers(service, image, frames=8):
    """The newest answer of each region after some frames."""
    mailbox = service.hub.subscribe(lambda: None)
    for index in range(frames):
        service.worker("0").look(Frame(image, index, index / 30))
    service.hub.unsubscribe(mailbox)
    return {each.region: each for each in mailbox.take() if isinstance(each, RegionAnswer)}


def test_each_region_is_answered_and_can_be_explained(service, tiny):
    image = np.hstack([tiny.views(0, 1)[0], tiny.views(2, 1)[0]])
    assert answers(service, image) == {}
    camera = service.cameras.set_named_regions("0", BOTH)
    assert camera.regions == BOTH
    found = answers(service, image)
    assert {name: each.candidate for name, each in found.items()} == {"left": "mug", "right": "cup"}
    assert {name: each.stable or each.suggestion for name, each in found.items()} == {"left": "mug", "right": "cup"}
    assert service.recent(found["left"].id).recognition.candidate == "mug"
    service.cameras.set_named_regions("0", [])
    assert answers(service, image) == {}


def test_two_regions_of_one_name_are_refused(service):
    with pytest.raises(OptionError, match="a name of its own"):
        service.cameras.set_named_regions("0", [BOTH[0], BOTH[0]])
    assert service.camera("0").regions == []


def test_regions_outlive_a_restart_and_a_file_of_the_time_before_names_is_read(tmp_path):
    gallery = tmp_path / "shop.db"
    (tmp_path / "shop.db.cameras.json").write_text('{"door": {"x": 0, "y": 0, "w": 0.5, "h": 1}, "gate": null}')
    regions = Regions(gallery)
    assert regions.get("door") == CameraRegions(LEFT)
    regions.set_named("door", BOTH)
    regions.set("gate", RIGHT)
    regions.rename("gate", "garden")
    again = Regions(gallery)
    assert again.get("door") == CameraRegions(LEFT, BOTH)
    assert again.get("garden").region == RIGHT
    assert again.get("elsewhere") == CameraRegions()
