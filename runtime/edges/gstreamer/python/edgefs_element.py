"""The GStreamer element `edgefs`: it attaches what each frame shows to its buffer, and lets the frame pass.

Debian's gstreamer1.0-python3-plugin-loader loads it from GST_PLUGIN_PATH, in the Python of the system, which gets the
packages of an activated virtual environment. docs/edges.md has examples.
"""

import os
import site
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GObject, Gst, GstVideo  # noqa: E402

if environment := os.environ.get("VIRTUAL_ENV"):  # its packages, as `activate` gives them to a Python of its own
    site.addsitedir(f"{environment}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")

import numpy as np  # noqa: E402

from runtime.bundle import Bundle  # noqa: E402
from runtime.errors import EdgefsError  # noqa: E402
from runtime.models import default_bundle  # noqa: E402
from runtime.recognizer import Recognizer  # noqa: E402

CAPS = Gst.Caps.from_string("video/x-raw,format=BGR")
EVERYTHING = Gst.BufferCopyFlags.FLAGS | Gst.BufferCopyFlags.TIMESTAMPS | Gst.BufferCopyFlags.META
EVERYTHING |= Gst.BufferCopyFlags.MEMORY
READWRITE = GObject.ParamFlags.READWRITE


class EdgefsElement(Gst.Element):
    """Recognises every frame with one gallery.

    The answer is a GstVideoRegionOfInterestMeta of the whole frame, with the label, or "unknown", as its type; and an
    element message `edgefs` on the bus with label, candidate, certainty, score and threshold.
    """

    __gstmetadata__ = ("edgefs", "Filter/Analyzer/Video", "Names what frames show, from taught examples", "edgefs")
    __gsttemplates__ = (
        Gst.PadTemplate.new("sink", Gst.PadDirection.SINK, Gst.PadPresence.ALWAYS, CAPS),
        Gst.PadTemplate.new("src", Gst.PadDirection.SRC, Gst.PadPresence.ALWAYS, CAPS),
    )
    gallery = GObject.Property(type=str, default="gallery.db", nick="the gallery's file", flags=READWRITE)
    bundle = GObject.Property(type=str, default="", nick="a bundle; empty for the embedded one", flags=READWRITE)
    engine = GObject.Property(type=str, default="auto", nick="the engine, as in Recognizer", flags=READWRITE)

    def __init__(self):
        super().__init__()
        self._recognizer, self._info = None, None
        sink, src = self.__gsttemplates__
        self._sink, self._src = Gst.Pad.new_from_template(sink, "sink"), Gst.Pad.new_from_template(src, "src")
        self._sink.set_chain_function_full(self._chain)
        self._sink.set_event_function_full(self._event)
        self.add_pad(self._sink)
        self.add_pad(self._src)

    def do_change_state(self, change):
        if change == Gst.StateChange.NULL_TO_READY:
            try:
                self._open()
            except EdgefsError as error:
                self.message_full(
                    Gst.MessageType.ERROR, Gst.LibraryError.quark(), Gst.LibraryError.INIT, str(error), None, "", "", 0
                )
                return Gst.StateChangeReturn.FAILURE
        done = Gst.Element.do_change_state(self, change)
        if change == Gst.StateChange.READY_TO_NULL and self._recognizer is not None:
            self._recognizer.close()
        return done

    def _open(self):
        bundle = Bundle.load(self.bundle) if self.bundle else default_bundle()
        self._recognizer = Recognizer(bundle, gallery=self.gallery, engine=self.engine)

    def _event(self, pad, parent, event):
        if event.type == Gst.EventType.CAPS:
            self._info = GstVideo.VideoInfo.new_from_caps(event.parse_caps())
        return pad.event_default(parent, event)

    def _chain(self, _pad, _parent, buffer):
        answer = self._recognizer.recognize(self._picture(buffer))
        label, size = answer.label or "unknown", (self._info.width, self._info.height)
        # Another buffer of the same pixels: it has no other owner, so metadata may be added to it.
        buffer = buffer.copy_region(EVERYTHING, 0, buffer.get_size())
        GstVideo.buffer_add_video_region_of_interest_meta(buffer, label, 0, 0, *size)
        said = Gst.Structure.new_empty("edgefs")
        for name, value in (("label", label), ("candidate", answer.candidate or ""), ("certainty", answer.certainty)):
            said.set_value(name, value)
        said.set_value("score", float(answer.score or 0.0))
        said.set_value("pts", GObject.Value(GObject.TYPE_UINT64, buffer.pts))
        self.post_message(Gst.Message.new_element(self, said))
        return self._src.push(buffer)

    def _picture(self, buffer):
        """The frame of a buffer: `uint8 [H, W, 3]` BGR; rows in memory are a multiple of four bytes long."""
        width, height, stride = self._info.width, self._info.height, self._info.stride[0]
        _, mapped = buffer.map(Gst.MapFlags.READ)
        try:
            rows = np.frombuffer(mapped.data, np.uint8, height * stride).reshape(height, stride)
            return rows[:, : 3 * width].reshape(height, width, 3).copy()
        finally:
            buffer.unmap(mapped)


GObject.type_register(EdgefsElement)
__gstelementfactory__ = ("edgefs", Gst.Rank.NONE, EdgefsElement)
