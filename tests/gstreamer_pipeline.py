"""Runs a pipeline and prints what comes out of it as JSON lines: /usr/bin/python3 gstreamer_pipeline.py "PIPELINE".

It is run by the *system's* Python, which has gi; it says which package is missing and exits with 77.
"""

import json
import sys

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstVideo", "1.0")
    from gi.repository import GLib, Gst, GstVideo
except (ImportError, ValueError) as absent:
    print(absent)
    sys.exit(77)

WAIT = 60 * Gst.SECOND
KINDS = Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.ELEMENT


def say(**what):
    """Print a line in one call, because two threads print."""
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def metadata(_pad, info):
    """Print the region of interest of a buffer."""
    buffer = info.get_buffer()
    region = GstVideo.buffer_get_video_region_of_interest_meta_id(buffer, 0)
    said = {"kind": "buffer", "pts": buffer.pts, "bytes": buffer.get_size(), "label": None}
    if region is not None:
        said |= {"label": GLib.quark_to_string(region.roi_type), "box": [region.x, region.y, region.w, region.h]}
    say(**said)
    return Gst.PadProbeReturn.OK


def main(text):
    Gst.init(None)
    try:
        pipeline = Gst.parse_launch(f"{text} ! fakesink name=end sync=false")
    except GLib.Error as error:
        print(error.message)
        sys.exit(77 if "no element" in error.message else 1)
    pipeline.get_by_name("end").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, metadata)
    pipeline.set_state(Gst.State.PLAYING)
    while (message := pipeline.get_bus().timed_pop_filtered(WAIT, KINDS)) is not None:
        if message.type == Gst.MessageType.ERROR:
            say(kind="error", text=message.parse_error()[0].message)
            break
        if message.type == Gst.MessageType.EOS:
            break
        said = message.get_structure()
        if said.get_name() == "edgefs":
            names = ("label", "candidate", "certainty", "score")
            say(kind="message", **{name: said.get_value(name) for name in names})
    pipeline.set_state(Gst.State.NULL)


main(sys.argv[1])
