//! Members that must not vote, that nobody can find, or that are not who they say they are: processes on real disks.

mod changes;
mod guide;
mod identity;
mod member;
mod votes;
