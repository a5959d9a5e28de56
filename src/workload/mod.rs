//! Prompts, lengths and arrival times from a seed. Pure.
