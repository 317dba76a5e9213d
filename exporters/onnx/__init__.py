"""From a torch module to one self-contained ONNX file whose input is uint8 images."""
