"""One file for each artefact that can be built from the ONNX file: OpenVINO, TensorRT, int8 and float16."""
