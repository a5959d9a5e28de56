//! Quantiles, noise, intervals, decisions. Pure.
