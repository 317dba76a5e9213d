"""Features of a frozen network are computed once."""

import pytest

pytestmark = pytest.mark.torch


def test_features_are_computed_once_and_one_changed_file_once_more(small_config, tmp_path):
    import cv2

    from edgefs.transfer.finetune import finetune

    first = finetune(small_config(epochs=1), quiet=True).best
    options = {"method": "features", "init_from": str(first)}
    reports = [finetune(small_config(out=str(tmp_path / f"f{i}"), **options), quiet=True) for i in range(2)]
    assert [report.computed for report in reports] == [30, 0]
    assert reports[0].test == reports[1].test
    path = tmp_path / "pictures" / "bee" / "03.png"
    cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    changed = finetune(small_config(out=str(tmp_path / "f2"), root=tmp_path / "pictures", **options), quiet=True)
    assert changed.computed == 1
