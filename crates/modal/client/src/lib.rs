//! A client for Modal sandboxes.
