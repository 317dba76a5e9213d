"""`edgefs enroll` succeeds only if it stored something."""

import cv2
import numpy as np

OPTIONS = ["--bundle", "tiny.edgefs", "--gallery", "shop.db", "--engine", "onnxruntime"]


def test_an_enrolment_that_stored_nothing_fails_also_for_a_class_that_exists(shop, run):
    cv2.imwrite("black.png", np.zeros((60, 80, 3), np.uint8))
    for label, shots in (("mug", 4), ("night", 0)):
        status, report, err = run("enroll", label, "black.png", *OPTIONS)
        assert (status, report["passed"], report["shots"], report["accepted"]) == (1, False, shots, [])
        assert "0 shots taken, 1 frames refused" in err
