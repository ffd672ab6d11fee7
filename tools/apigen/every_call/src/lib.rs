//! Calls every operation of the REST API: see `tests/every_operation.rs`.
