//! The replicated nodes, a pure function of the txns applied, and the local watches on them.
