//! Request traces to a repeat's record. Pure.
