//! The one binary: server, shell, tools.
fn main() {}
