"""TensorRT plans and the CUDA runtime: what the engines for NVIDIA GPUs have in common."""
