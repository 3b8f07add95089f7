//! One server without I/O: agreement, tree, sessions and clients.
