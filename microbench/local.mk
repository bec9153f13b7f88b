# Measuring programs; `make cuda` builds the GPU part where nvcc was found.
