"""What can be exported: a torch module, a torchvision network or an ONNX file; and the pictures to calibrate with."""
