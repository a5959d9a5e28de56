//! The embedded vLLM-compatible server without a GPU.
