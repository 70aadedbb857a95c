//! The engine for real: needs root and a kernel that can; elsewhere every test prints why it is skipped.

mod support;

mod smoke;
