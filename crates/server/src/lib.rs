//! The shell around a replica: sockets, threads, files; and the embedding API.
