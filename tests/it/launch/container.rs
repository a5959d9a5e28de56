//! Servers as containers, with a real engine.
