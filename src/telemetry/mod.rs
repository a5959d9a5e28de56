//! What is observed beside the load: server metrics, GPU, host.
