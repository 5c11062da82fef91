# SPDX-License-Identifier: Apache-2.0
"""Verification from Python: `vnnverify.verify(model, property) -> Result`. Imports neither torch nor onnx."""

from vnnverify.api.exporting import export
from vnnverify.api.result import Counterexample, Result
from vnnverify.api.run import Run, start, verify, verify_async, verify_many

__all__ = ["Counterexample", "Result", "Run", "export", "start", "verify", "verify_async", "verify_many"]
