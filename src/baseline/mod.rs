//! Baselines: where the accepted runs live.
