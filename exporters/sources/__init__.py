"""What can be exported: a torch module, a torchvision backbone or an ONNX file, and the pictures to calibrate with."""
