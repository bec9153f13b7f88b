mkdir m.gguf
