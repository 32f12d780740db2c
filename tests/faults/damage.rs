//! Bytes that were changed.
