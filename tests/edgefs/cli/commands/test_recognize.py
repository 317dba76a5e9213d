"""`edgefs recognize` refuses options that contradict each other, and a gallery that is not there."""

import pytest

from edgefs.cli import main

TINY = ["--bundle", "tiny.edgefs", "--engine", "onnxruntime"]


def test_a_closed_set_has_no_rate_of_strangers(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["recognize", "x.png", "--closed-set", "--rate", "5%"])
    assert "argument --rate: not allowed with argument --closed-set" in capsys.readouterr().err


def test_a_missing_gallery_is_named_and_not_created(shop, run):
    status, report, _ = run("recognize", "mug/ask", *TINY, "--gallery", "typo.db")
    assert (status, report["error"]["type"]) == (1, "GalleryMissing")
    assert "edgefs enroll NAME SOURCE --gallery typo.db" in report["error"]["message"]
    assert not (shop / "typo.db").exists()


def test_an_empty_gallery_is_refused_with_what_to_do(shop, run):
    for name in ("mug", "cup"):
        run("gallery", "rm", name, "--gallery", "shop.db")
    status, report, _ = run("recognize", "mug/ask", *TINY, "--gallery", "shop.db")
    assert status == 1
    assert "it is empty; teach one: edgefs enroll NAME SOURCE --gallery shop.db" in report["error"]["message"]


def test_why_gives_sentences(shop, run):
    _, report, err = run("recognize", "mug/ask/0.png", "--why", *TINY, "--gallery", "shop.db")
    assert report["frames"][0]["why"]
    assert report["frames"][0]["why"][0] in err


def test_a_device_is_opened_by_openvino_and_an_absent_one_is_refused(shop, run):
    pytest.importorskip("openvino")
    arguments = ("recognize", "mug/ask/0.png", "--bundle", "tiny.edgefs", "--gallery", "shop.db", "--device")
    status, report, _ = run(*arguments, "AUTO")
    assert (status, report["engine"]["name"], report["engine"]["device"]) == (0, "openvino", "CPU")
    status, report, _ = run(*arguments, "TPU")
    assert (status, report["error"]["type"]) == (1, "EngineError")
    assert "(CPU), but is 'TPU'; choose one of them" in report["error"]["message"]
