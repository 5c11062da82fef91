# SPDX-License-Identifier: Apache-2.0
"""What a plugin is made of and how plugins are found. Imports neither torch nor onnx by itself."""
