"""A plan that was built -> a candidate: the plan, its passport, and the ONNX file it came from if that is another.

The ONNX file goes along so that a device can build its own plan with nothing but TensorRT: no calibration, no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from exporters.targets.plan import Profile
from exporters.targets.target import Candidate
from exporters.targets.typed_model import TypedModel
from runtime.engines.passport import Passport, passport_name


def passported(
    candidate: Candidate,
    *,
    model: bytes,
    plan: bytes,
    typed: TypedModel,
    profile: Profile,
    trtexec: Callable[[str, str], str],
    **bound: Any,
) -> Candidate:
    """Fill in a candidate's files and complete its reason.

    model: the bundle's model.onnx.  typed: what the plan was built from.  trtexec: (onnx, plan) -> the equivalent line.
    bound: the other fields of Passport: what the plan is bound to.
    """
    folder = f"{candidate.target}/{candidate.precision}"
    file, onnx = f"{folder}/model.plan", f"{folder}/model.onnx" if typed.converted else "model.onnx"
    passport = Passport(
        target=candidate.target,
        precision=candidate.precision,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        model_sha256=hashlib.sha256(model).hexdigest(),
        onnx_sha256=hashlib.sha256(typed.data if typed.converted else model).hexdigest(),
        shape=profile.shape,
        batch=profile.batch,
        trtexec=trtexec(onnx, file),
        **bound,
    )
    files = {file: plan, passport_name(file): passport.to_json()}
    if typed.converted:
        files[onnx] = typed.data
    reason = f"{candidate.reason}; its ONNX on this CPU: min cosine {typed.min_cosine:.5f} to float32"
    return replace(candidate, file=file, files=files, reason=reason)
