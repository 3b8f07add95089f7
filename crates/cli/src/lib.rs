//! The shell and its one-shot commands.
