//! Modal's sandbox protocol: our subset and its generated code.
