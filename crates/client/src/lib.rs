//! A client session without I/O, and a tokio wrapper.
