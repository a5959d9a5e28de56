//! May these two runs be compared, and what are the numbers? Pure.
