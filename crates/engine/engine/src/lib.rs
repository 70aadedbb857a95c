//! The daemonless sandbox engine.
