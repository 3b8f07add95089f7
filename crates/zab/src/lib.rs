//! Agreement on the order of txns, without I/O.
