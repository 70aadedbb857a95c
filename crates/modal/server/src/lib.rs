//! Modal's sandbox protocol served on the local engine.
