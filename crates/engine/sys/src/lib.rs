//! Raw system calls behind safe functions.
