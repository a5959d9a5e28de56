//! The load generator: driver, HTTP client, SSE parser.
