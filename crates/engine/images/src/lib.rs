//! Images: archives, layers and the store that keeps them.
