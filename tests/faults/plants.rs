//! Faults that are planted.
