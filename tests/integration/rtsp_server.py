"""A real RTSP server for the tests: H.264 at 20 fps, each picture carrying the clock of the moment it was made.

Run by the *system's* Python, which has gi: /usr/bin/python3 rtsp_server.py PORT. It prints "ready" when it listens, or
says which package is missing and exits with 77. Debian and Ubuntu: apt-get install --no-install-recommends python3-gi
gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
"""

import sys
import time

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer
except (ImportError, ValueError) as absent:
    print(absent)
    sys.exit(77)

WIDTH, HEIGHT, BLOCK, BITS, FPS = 320, 240, 10, 32, 20
ELEMENTS = ("appsrc", "videoconvert", "x264enc", "rtph264pay", "rtpbin")
LAUNCH = (
    "( appsrc name=clock is-live=true do-timestamp=true format=time "
    f"caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! videoconvert ! "
    f"video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=500 key-int-max={FPS} ! "
    "rtph264pay name=pay0 pt=96 )"
)


def picture() -> bytes:
    """GRAY8 [HEIGHT, WIDTH]: the top BLOCK rows hold CLOCK_MONOTONIC in ms as BITS black or white blocks."""
    now_ms = int(time.monotonic() * 1000) % 2**BITS
    row = b"".join((b"\xff" if now_ms >> bit & 1 else b"\x00") * BLOCK for bit in range(BITS))
    return row * BLOCK + b"\x80" * (WIDTH * (HEIGHT - BLOCK))


def feed(_factory, media) -> None:
    """Give the new media a picture FPS times a second, until its last client has gone."""
    source = media.get_element().get_by_name_recurse_up("clock")
    gone = []
    media.connect("unprepared", gone.append)

    def push() -> bool:
        if not gone:
            source.emit("push-buffer", Gst.Buffer.new_wrapped(picture()))
        return not gone

    GLib.timeout_add(1000 // FPS, push)


def main(port: str) -> None:
    Gst.init(None)
    missing = [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]
    if missing:
        print(f"GStreamer has no {', '.join(missing)}.")
        sys.exit(77)
    server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH)
    factory.connect("media-configure", feed)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {port}")
    print("ready", flush=True)
    GLib.MainLoop().run()


main(sys.argv[1])
